"""Pages beside the services: health and the clock. Services may bring pages of their own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from duestream.clock import ManualClock
from duestream.errors import ServiceError, ValidationException
from duestream.local.services import ses_page
from duestream.local.services.context import RequestContext
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.refusals import SerializationException
from duestream.version import __version__


class ConflictException(ServiceError):
    """What is asked for does not go with how the server was started."""

    status = 409


@dataclass(frozen=True, slots=True)
class Page:
    """What is served at one method and path.

    `is_open`: served without a signature also where credentials are asked for.
    """

    answer: Callable[[RequestContext, HttpRequest], Awaitable[HttpResponse]]
    is_open: bool = False


def json_response(value: object, status: int = 200) -> HttpResponse:
    """A value as JSON."""
    return HttpResponse(status, msgspec.json.encode(value), {"Content-Type": "application/json"})


def refusal(error: ServiceError, request_id: str) -> HttpResponse:
    """An error outside of any service, in a form that AWS's JSON clients and people can read."""
    body = {"__type": error.code, "message": error.message}
    status = 404 if error.code == "UnknownOperationException" else error.status
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": error.code, "Content-Type": "application/json"}
    return HttpResponse(status, msgspec.json.encode(body), headers)


async def health(context: RequestContext, request: HttpRequest) -> HttpResponse:
    """GET /_duestream/health: answers once requests are served."""
    return json_response({"status": "ready", "version": __version__, "now": context.clock.now().isoformat()})


class _ClockRequest(msgspec.Struct, forbid_unknown_fields=True):
    advance_seconds: float | None = None
    now: str | None = None


async def move_clock(context: RequestContext, request: HttpRequest) -> HttpResponse:
    """POST /_duestream/clock with ``{"advance_seconds": 60}`` or ``{"now": "2030-01-01T09:00:00Z"}``.

    Answers the new time as ``{"now": ...}``.

    Raises:
        ConflictException: the server runs on the machine's clock.
        SerializationException: the body is neither.
        ValidationException: backwards by a negative number, or a moment without an offset.
    """
    clock = context.clock
    if not isinstance(clock, ManualClock):
        raise ConflictException(
            "This server runs on the machine's clock. Start it with a manual clock to move it by hand."
        )
    try:
        asked = msgspec.json.decode(request.body, type=_ClockRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationException(f"Send {{'advance_seconds': 60}} or {{'now': '...'}}: {error}") from None
    if (asked.advance_seconds is None) == (asked.now is None):
        raise SerializationException("Send either 'advance_seconds' or 'now'.")
    try:
        if asked.advance_seconds is not None:
            clock.tick(timedelta(seconds=asked.advance_seconds))
        else:
            moment = datetime.fromisoformat(asked.now or "")
            clock.set(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
    except (ValueError, OverflowError) as error:
        raise ValidationException(f"The clock cannot be moved: {error}") from None
    return json_response({"now": clock.now().isoformat()})


async def mailbox(context: RequestContext, request: HttpRequest) -> HttpResponse:
    """GET /_aws/ses: the emails that were sent."""
    body = ses_page.mailbox(context.store.reader, request.query)
    return HttpResponse(200, body, {"Content-Type": "application/json"})


async def clear_mailbox(context: RequestContext, request: HttpRequest) -> HttpResponse:
    """DELETE /_aws/ses: empty the mailbox."""
    return HttpResponse(204, await ses_page.clear(context.store, request.query))


PAGES: dict[tuple[str, str], Page] = {
    ("GET", "/_duestream/health"): Page(health, is_open=True),
    ("POST", "/_duestream/clock"): Page(move_clock),
    ("GET", ses_page.PATH): Page(mailbox),
    ("DELETE", ses_page.PATH): Page(clear_mailbox),
}
