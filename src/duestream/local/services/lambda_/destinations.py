"""Which destinations can be told, checked when they are named."""

import apsw

from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.store import functions, queues
from duestream.local.store.function_errors import InvalidParameterValueException

#: Those that are not in here, and the call that tells them.
_ELSEWHERE = {"sns": ("sns", "publish"), "events": ("eventbridge", "putEvents")}
OF_MAPPINGS = frozenset(("sqs", "sns"))
OF_INVOCATIONS = frozenset(("sqs", "sns", "lambda", "events"))
OF_DEAD_LETTERS = frozenset(("sqs", "sns"))


def check_destination(
    context: RequestContext, connection: apsw.Connection, arn: str | None, kinds: frozenset[str]
) -> None:
    """See whether a destination can be told.

    Raises:
        InvalidParameterValueException: it cannot, and why.
    """
    if not arn:
        return
    service = (arn.split(":") + [""] * 3)[2]
    if service not in kinds or arn.endswith(".fifo"):
        raise InvalidParameterValueException(
            f"The destination ARN {arn} is invalid: here it may be of {', '.join(sorted(kinds))}, and not FIFO."
        )
    if service in _ELSEWHERE:
        if context.forwarded is None:
            raise InvalidParameterValueException(f"Nothing is delivered to {arn} by this server.")
        try:
            context.forwarded(*_ELSEWHERE[service])
        except ValidationException as error:
            raise InvalidParameterValueException(error.message) from error
    elif service == "sqs" and queues.get_queue(connection, queues.queue_name_of(arn)) is None:
        raise InvalidParameterValueException(f"The destination ARN {arn} is invalid: there is no such queue.")
    elif service == "lambda" and functions.get_function(connection, functions.function_name_of(arn)) is None:
        raise InvalidParameterValueException(f"The destination ARN {arn} is invalid: there is no such function.")
