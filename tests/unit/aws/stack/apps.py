"""Apps whose stacks tests look at: the examples, and one with everything."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from duestream import (
    App,
    AwsCall,
    BusEvent,
    DeleteItem,
    Due,
    Email,
    Function,
    HttpRequest,
    Notification,
    PutItem,
    QueueMessage,
    StateMachine,
    Sweep,
    UpdateItem,
)
from duestream.cli.app_file import load_app
from duestream.core.target import Target

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*.py"))


def everything() -> App:
    """Every kind of rule and of target."""
    app = App("clinic")
    table = app.table("Appointment-Table", partition_key="PK", sort_key="SK", sort_key_type="N")
    offers = app.table("Offers", partition_key="id")
    table.rule("A", Email("Clinic <clinic@mail.example.com>", "a@example.org", "s", "t"))
    table.rule(
        "B",
        [
            QueueMessage("reminders"),
            QueueMessage("arn:aws:sqs:us-east-1:999999999999:theirs"),
            Notification("news", "m"),
            Notification("news", "m", subject="s"),
            StateMachine("billing"),
            StateMachine("billing", execution_name="one"),
            Function("resize:live"),
            BusEvent("d", {}, "com.example", bus="own"),
            PutItem("Audit", {"id": "1"}),
            UpdateItem("Audit", {"id": "1"}, "SET a = :a", values={":a": 1}),
            DeleteItem("Audit", {"id": "1"}),
            AwsCall("s3", "deleteObject", {"Bucket": "notes", "Key": "a/*"}),
            HttpRequest("https://example.com/hook"),
        ],
        name="all",
    )
    table.rule("C", DeleteItem())
    table.rule("D", QueueMessage("guarded"), guarded=True)
    table.rule(
        "E", AwsCall("ecs", "runTask", {"Cluster": "c"}), allow=["ecs:RunTask arn:aws:ecs:*:*:task-definition/c:*"]
    )
    table.recurring("F", QueueMessage("billing"))

    @table.rule("G")
    def answered(item: dict[str, Any]) -> Target | None:
        return None if item.get("done") else QueueMessage("reminders")

    @table.rule("H", allow=["sqs:told-*", "ses:example.com", "dynamodb:Told", "s3:PutObject arn:aws:s3:::told/*"])
    def told(item: dict[str, Any]) -> Target:
        return QueueMessage(f"told-{item['PK']}")

    @table.when_due("I", timeout=timedelta(minutes=3), allow=["s3:GetObject arn:aws:s3:::notes/*"])
    def run(item: dict[str, Any], due: Due) -> None:
        pass

    offers.rule("EXPIRES_AT", DeleteItem(), via=Sweep("ByExpiry", shards=10))
    offers.rule(
        "REMIND_AT",
        QueueMessage("swept"),
        via=Sweep("ByReminder", shard_attribute="REMINDER_SHARD", timestamp_type="N", every=timedelta(minutes=5)),
    )
    return app


def only_sweeps() -> App:
    """No stream is read."""
    app = App("offers")
    app.table("Offers", partition_key="id").rule("EXPIRES_AT", DeleteItem(), via=Sweep("ByExpiry"))
    return app


def no_rules() -> App:
    """A table, and nothing else."""
    app = App("empty")
    app.table("Offers", partition_key="id")
    return app


APPS: dict[str, Callable[[], App]] = {
    "everything": everything,
    "only sweeps": only_sweeps,
    "no rules": no_rules,
    **{path.stem: partial(load_app, str(path)) for path in EXAMPLES},
}
