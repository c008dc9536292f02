"""What every operation of every service is given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from duestream.clock import Clock
from duestream.core.schedule import Place
from duestream.local.store.store import Store


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


#: Takes the parsed and checked parameters under AWS's names; answers with AWS's names, or with the finished
#: JSON as bytes where an operation is hot. Raises a child of ServiceError.
Operation = Callable[[RequestContext, Mapping[str, Any]], Awaitable[Mapping[str, Any] | bytes]]
