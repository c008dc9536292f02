"""What every operation of every service is given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from duestream.clock import Clock
from duestream.core.deliverable import Forwarded
from duestream.core.invocation import InvocationResult
from duestream.core.schedule import Place
from duestream.local.store.store import Store


class FunctionRunner(Protocol):
    """Who runs Lambda functions: the engine."""

    async def check_runtime(self, runtime: str) -> None:
        """Raise InvalidParameterValueException if this machine cannot run it."""
        ...

    async def invoke(
        self, name: str, payload: bytes, *, request_id: str | None = None, client_context: str | None = None
    ) -> InvocationResult:
        """Invoke a function, and wait for its end."""
        ...

    def forget_deleted(self) -> None:
        """End the processes of functions that are gone or were changed."""
        ...


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request's surroundings. `endpoint_url` is how the client reached us, without a slash at the end."""

    store: Store
    clock: Clock
    #: Region from the request's credential scope; the account is always ours.
    place: Place
    endpoint_url: str
    request_id: str
    #: Emails go out through a mail server: what SES's API takes in is scheduled for now, and so retried.
    relays_emails: bool = False
    #: What the targets of schedules must have that are not delivered in here; None: there are none such.
    forwarded: Forwarded | None = None
    functions: FunctionRunner | None = None


#: Takes the parsed and checked parameters under AWS's names; answers with AWS's names, or with the finished
#: JSON as bytes where an operation is hot. Raises a child of ServiceError.
Operation = Callable[[RequestContext, Mapping[str, Any]], Awaitable[Mapping[str, Any] | bytes]]
