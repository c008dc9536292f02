"""How a delivery's steps are told to the log."""

import logging

from duestream.local.engine.log_text import for_log
from duestream.local.engine.settle import Settled

logger = logging.getLogger("duestream.flow")


def log_settled(settled: Settled) -> None:
    """Say how an attempt ended, with the delivery id by which its other lines are found."""
    if not logger.isEnabledFor(logging.INFO):
        return
    row, attempt = settled.row, settled.attempt
    facts = {
        "schedule": f"{row.group_name}/{row.name}",
        "rule": row.rule,
        "target_arn": row.body["Target"]["Arn"],
        "delivery_id": attempt.delivery_id,
        "attempt": attempt.number,
        "due_at_ms": attempt.due_at_ms,
        "lateness_ms": attempt.now_ms - attempt.due_at_ms,
        "reason": for_log(settled.reason),
    }
    match settled.kind:
        case "delivered":
            logger.info("delivered", extra={"action": "delivered", **facts})
        case "skipped":
            logger.info("skipped", extra={"action": "skipped", **facts})
        case "dead_lettered":
            logger.warning("dead-lettered", extra={"action": "dead_lettered", **facts})
        case "dropped":
            logger.error("dropped", extra={"action": "dropped", **facts})
        case None:
            facts["retry_at_ms"] = settled.retry_at_ms
            logger.warning("failed, to be retried", extra={"action": "retry", **facts})
