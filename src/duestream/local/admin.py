"""The admin API: what the command line asks a running server about dead letters and items.

Pages under /_duestream, JSON in and out, behind the guard and, with credentials, a signature, like every page.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec

from duestream.errors import ResourceNotFoundException as _ResourceNotFound
from duestream.errors import ValidationException
from duestream.local.engine import letter_box
from duestream.local.engine.letter_box import LetterFilter
from duestream.local.engine.reconciling import Deed, ReconcilingItems
from duestream.local.engine.redrive import Redriven, Redriver
from duestream.local.engine.why import Explainer
from duestream.local.pages import Page, json_response
from duestream.local.services.context import RequestContext
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.refusals import SerializationException

DEAD_LETTERS = "/_duestream/dead-letters"
WHY = "/_duestream/why"
RECONCILE = "/_duestream/reconcile"
DEFAULT_PAGE = 100
#: Letters that one request may redrive or drop.
MAX_IDS = 100


class ResourceNotFoundException(_ResourceNotFound):
    """What is asked about is not there."""

    status = 404


class _LettersRequest(msgspec.Struct, forbid_unknown_fields=True):
    ids: list[str]
    dry_run: bool = False
    force: bool = False


class _ReconcileRequest(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    keys: list[dict[str, dict[str, str]]]
    deed: Deed = "look"


class Engine(Protocol):
    """What the pages ask of the engine."""

    @property
    def redriver(self) -> Redriver:
        """Who takes letters out of their queues."""
        ...

    @property
    def explainer(self) -> Explainer:
        """Who tells of items."""
        ...

    @property
    def reconciling(self) -> ReconcilingItems:
        """Who holds items against their schedules."""
        ...


async def list_letters(context: RequestContext, request: HttpRequest) -> HttpResponse:
    """GET /_duestream/dead-letters with ``kind``, ``rule``, ``table``, ``error``, ``older_than_seconds``,
    ``newer_than_seconds``, ``limit`` and ``token``.

    Answers ``{"letters": [...], "next_token": ...}``; a page may have fewer than `limit` and still a next one.
    """
    asked = _query(request)
    now_ms = context.clock.now_ms()
    limit = _number(asked, "limit")
    if limit is not None and not 1 <= limit <= letter_box.MAX_PAGE:
        raise ValidationException(f"limit is 1 to {letter_box.MAX_PAGE}.")
    if asked.get("kind") not in (None, *letter_box.KINDS):
        raise ValidationException("kind is delivery, record or message.")
    older, newer = _number(asked, "older_than_seconds"), _number(asked, "newer_than_seconds")
    wanted = LetterFilter(
        kind=asked.get("kind"),
        rule=asked.get("rule"),
        table=asked.get("table"),
        error=asked.get("error"),
        sent_before_ms=None if older is None else now_ms - int(older * 1000),
        sent_after_ms=None if newer is None else now_ms - int(newer * 1000),
    )
    page = letter_box.list_letters(
        context.store.reader, wanted, token=asked.get("token"), limit=int(limit or DEFAULT_PAGE), now_ms=now_ms
    )
    return json_response({"letters": page.letters, "next_token": page.next_token})


async def show_letter(context: RequestContext, request: HttpRequest) -> HttpResponse:
    """GET /_duestream/dead-letters/show?id=..: one letter whole, with its history; also one that is in no queue any
    more.

    Raises:
        ResourceNotFoundException: there never was one of that number, or it is older than what is kept.
    """
    named, reader, now_ms = _query(request).get("id", ""), context.store.reader, context.clock.now_ms()
    letter = letter_box.find_letter(reader, named)
    if letter is None:
        ended = letter_box.ended_letter(reader, named)
        if ended is None:
            raise ResourceNotFoundException(f"There is no dead letter {named}.")
        facts: dict[str, Any] = {
            "id": ended.id,
            "message_id": ended.message_id,
            "queue": ended.queue_name,
            "kind": ended.kind,
            "state": ended.ended or "taken out of the queue by somebody",
            "sent_at": letter_box.moment(ended.created_at_ms),
            **letter_box.kept_facts(reader, ended),
        }
        return json_response({**facts, "history": letter_box.history_of(reader, ended)})
    whole = letter_box.facts_of(reader, letter, now_ms) | {
        "body": letter.message.body,
        "attributes": {name: value.get("StringValue") for name, value in letter.message.attributes.items()},
        "history": [] if letter.kept is None else letter_box.history_of(reader, letter.kept),
    }
    if letter.kind == "record":
        whole["record"] = letter.content["record"]
    return json_response(whole)


def pages_of(engine: Callable[[], Engine]) -> dict[tuple[str, str], Page]:
    """The pages of a server whose engine is asked for when it is needed."""

    async def redrive(context: RequestContext, request: HttpRequest) -> HttpResponse:
        asked, redriver = _letters_request(request), engine().redriver
        return await _answers(redriver.redrive(named, dry_run=asked.dry_run, force=asked.force) for named in asked.ids)

    async def drop(context: RequestContext, request: HttpRequest) -> HttpResponse:
        asked, redriver = _letters_request(request), engine().redriver
        return await _answers(redriver.drop(named, dry_run=asked.dry_run) for named in asked.ids)

    async def why(context: RequestContext, request: HttpRequest) -> HttpResponse:
        asked = _query(request)
        if not asked.get("table") or not asked.get("key"):
            raise ValidationException("Name a table and a key: ?table=..&key=..")
        return json_response(await engine().explainer.explain(asked["table"], asked["key"]))

    async def reconcile(context: RequestContext, request: HttpRequest) -> HttpResponse:
        try:
            asked = msgspec.json.decode(request.body, type=_ReconcileRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            example = '{"table": "T", "keys": [{"id": {"S": "1"}}], "deed": "look"}'
            raise SerializationException(f"Send {example}: {error}") from None
        if not 1 <= len(asked.keys) <= MAX_IDS:
            raise ValidationException(f"Name 1 to {MAX_IDS} keys.")
        return json_response(await engine().reconciling.reconcile(asked.table, asked.keys, asked.deed))

    return {
        ("GET", DEAD_LETTERS): Page(list_letters),
        ("GET", f"{DEAD_LETTERS}/show"): Page(show_letter),
        ("POST", f"{DEAD_LETTERS}/redrive"): Page(redrive),
        ("POST", f"{DEAD_LETTERS}/drop"): Page(drop),
        ("GET", WHY): Page(why),
        ("POST", RECONCILE): Page(reconcile),
    }


async def _answers(work: Any) -> HttpResponse:
    """All of them at once, so that they share a commit."""
    ended: list[Redriven] = await asyncio.gather(*work)
    return json_response({"results": [asdict(one) for one in ended]})


def _letters_request(request: HttpRequest) -> _LettersRequest:
    try:
        asked = msgspec.json.decode(request.body, type=_LettersRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationException(f"Send {{'ids': ['1'], 'dry_run': false}}: {error}") from None
    if not 1 <= len(asked.ids) <= MAX_IDS:
        raise ValidationException(f"Name 1 to {MAX_IDS} letters.")
    return asked


def _query(request: HttpRequest) -> Mapping[str, str]:
    return {name: values[-1] for name, values in parse_qs(request.query).items()}


def _number(asked: Mapping[str, str], name: str) -> float | None:
    text = asked.get(name)
    try:
        number = None if text is None else float(text)
    except ValueError:
        number = -1.0
    if number is not None and not 0 <= number < 1e12:
        raise ValidationException(f"{name} is no number that can be used.")
    return number
