"""Both dead-letter queues."""

from duestream.aws.stack.names import Resources, Value, attribute, ref
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue

#: Deliveries that were given up.
DEAD_LETTERS_ID = "DeadLetters"
#: Stream records that no schedule could be made from, and batches that the function failed on.
STREAM_DEAD_LETTERS_ID = "StreamDeadLetters"
#: SQS keeps messages no longer.
RETENTION_SECONDS = 14 * 24 * 60 * 60


def queue_resources(app_name: str) -> Resources:
    """The queues, each with a policy that refuses requests without TLS."""
    resources: Resources = {}
    for logical_id, name in (
        (DEAD_LETTERS_ID, schedule_dead_letter_queue(app_name)),
        (STREAM_DEAD_LETTERS_ID, stream_dead_letter_queue(app_name)),
    ):
        resources[logical_id] = {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "QueueName": name,
                "MessageRetentionPeriod": RETENTION_SECONDS,
                "SqsManagedSseEnabled": True,
            },
        }
        resources[f"{logical_id}Policy"] = {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [ref(logical_id)], "PolicyDocument": _only_with_tls(logical_id)},
        }
    return resources


def _only_with_tls(logical_id: str) -> dict[str, Value]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyWithTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": attribute(logical_id, "Arn"),
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
