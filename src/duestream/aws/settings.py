"""Settings of the functions on AWS: read once from the environment that the stack gives them.

What is not here is AWS's own business: the credentials, and ``AWS_ENDPOINT_URL`` with its children, which botocore
honours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from duestream.core.schedule import Place
from duestream.errors import SettingsError

APP_VARIABLE = "DUESTREAM_APP"
REGION_VARIABLE = "AWS_REGION"
ACCOUNT_ID_VARIABLE = "DUESTREAM_ACCOUNT_ID"
PARTITION_VARIABLE = "DUESTREAM_PARTITION"
EXECUTION_ROLE_ARN_VARIABLE = "DUESTREAM_EXECUTION_ROLE_ARN"
STREAM_DEAD_LETTER_QUEUE_URL_VARIABLE = "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL"
DELIVERIES_TABLE_VARIABLE = "DUESTREAM_DELIVERIES_TABLE"
WHEN_DUE_FUNCTION_ARN_VARIABLE = "DUESTREAM_WHEN_DUE_FUNCTION_ARN"
CONCURRENCY_VARIABLE = "DUESTREAM_CONCURRENCY"

DEFAULT_CONCURRENCY = 32
#: Each call that is under way has a thread and a connection; Lambda allows 1,024 of each.
MAX_CONCURRENCY = 512

_REQUIRED = (
    APP_VARIABLE,
    REGION_VARIABLE,
    ACCOUNT_ID_VARIABLE,
    EXECUTION_ROLE_ARN_VARIABLE,
    STREAM_DEAD_LETTER_QUEUE_URL_VARIABLE,
    DELIVERIES_TABLE_VARIABLE,
    WHEN_DUE_FUNCTION_ARN_VARIABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What each of the app's functions knows.

    Args:
        app: ``<module>:<attribute>`` of the rule file in the bundle.
        place: where targets are that rules name without an ARN.
        execution_role_arn: the role that EventBridge Scheduler assumes.
        stream_dead_letter_queue_url: the queue for stream records that a rule could not make a schedule from.
        deliveries_table: where the due function remembers what it has done.
        when_due_function_arn: the due function.
        concurrency: how many calls to EventBridge Scheduler may be under way at once.
    """

    app: str
    place: Place
    execution_role_arn: str
    stream_dead_letter_queue_url: str
    deliveries_table: str
    when_due_function_arn: str
    concurrency: int = DEFAULT_CONCURRENCY

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read them.

        Raises:
            SettingsError: a variable is missing, or is not what it has to be; all that are missing are named.
        """
        missing = [name for name in _REQUIRED if not environ.get(name)]
        if missing:
            raise SettingsError(f"{', '.join(missing)}: not set. The stack sets it; deploy it again")
        return cls(
            app=environ[APP_VARIABLE],
            place=Place(
                region=environ[REGION_VARIABLE],
                account_id=environ[ACCOUNT_ID_VARIABLE],
                partition=environ.get(PARTITION_VARIABLE) or "aws",
            ),
            execution_role_arn=environ[EXECUTION_ROLE_ARN_VARIABLE],
            stream_dead_letter_queue_url=environ[STREAM_DEAD_LETTER_QUEUE_URL_VARIABLE],
            deliveries_table=environ[DELIVERIES_TABLE_VARIABLE],
            when_due_function_arn=environ[WHEN_DUE_FUNCTION_ARN_VARIABLE],
            concurrency=_concurrency(environ.get(CONCURRENCY_VARIABLE) or str(DEFAULT_CONCURRENCY)),
        )


def _concurrency(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CONCURRENCY):
        raise SettingsError(f"{CONCURRENCY_VARIABLE} is {text!r}. Give it a number from 1 to {MAX_CONCURRENCY}")
    return int(text)
