"""`duestream dead-letters`: lists, shows, redrives and drops dead letters, of a running server or of an app on AWS."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

import typer

from duestream.cli.admin_client import AdminClient
from duestream.cli.ages import age_text, parse_age
from duestream.errors import SettingsError

PATH = "/_duestream/dead-letters"
#: Letters that one request takes.
CHUNK = 100
PAGE = 100
#: Beside a pipe there is no terminal to fit into, and cut words help nobody.
WIDTH_WITHOUT_TERMINAL = 240
#: The kinds of letters, in words.
_KINDS = {"delivery": "delivery", "record": "stream record", "message": "message of another queue"}
Action = Literal["redrive", "drop"]
#: What became of a letter, and in which words.
_DONE = {"redriven": "redriven", "dropped": "dropped", "refused": "left", "in flight": "left", "gone": "not found"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: the filters as they were given."""

    rule: str | None = None
    error: str | None = None
    older_than: str | None = None
    newer_than: str | None = None
    kind: str | None = None
    table: str | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__slots__)

    def asked(self) -> dict[str, Any]:
        """As the server is asked.

        Raises:
            SettingsError: one of them cannot be used.
        """
        if self.kind not in (None, *_KINDS):
            raise SettingsError(f"--kind {self.kind!r} is none. Write delivery, record or message.")
        older, newer = self.older_than, self.newer_than
        return {
            "rule": self.rule,
            "error": self.error,
            "kind": self.kind,
            "table": self.table,
            "older_than_seconds": None if older is None else parse_age(older, "--older-than"),
            "newer_than_seconds": None if newer is None else parse_age(newer, "--newer-than"),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """Letters that were found, and whether that is all of them."""

    letters: list[dict[str, Any]]
    is_all: bool


class Box(Protocol):
    """Where dead letters are.

    Args:
        notes: what there was to say beside the letters, when they were last asked for.
    """

    notes: list[str]

    def find(self, wanted: Wanted, limit: int) -> Found:
        """Up to `limit` letters.

        Raises:
            Error: it cannot be asked.
        """

    def show(self, named: str) -> dict[str, Any]:
        """One letter whole.

        Raises:
            Error: there is none of that name, or it cannot be asked.
        """

    def end(
        self, action: Action, named: Sequence[str] | None, wanted: Wanted, *, dry_run: bool, force: bool
    ) -> Iterator[list[dict[str, Any]]]:
        """Redrive or drop letters; answers what became of them, as it goes on.

        Args:
            action: what is done.
            named: the letters; None: all that are wanted.
            wanted: the filters.
            dry_run: only say what would become of them.
            force: redrive also what the item asks for no longer.

        Raises:
            Error: it cannot be done.
        """


class ServerBox:
    """A running server's."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client
        self.notes: list[str] = []

    def find(self, wanted: Wanted, limit: int) -> Found:
        """See `Box.find`."""
        letters = list(islice(self._letters(wanted, limit + 1), limit + 1))
        return Found(letters[:limit], len(letters) <= limit)

    def show(self, named: str) -> dict[str, Any]:
        """See `Box.show`."""
        return self._client.get(f"{PATH}/show", {"id": named})

    def end(
        self, action: Action, named: Sequence[str] | None, wanted: Wanted, *, dry_run: bool, force: bool
    ) -> Iterator[list[dict[str, Any]]]:
        """See `Box.end`."""
        # All numbers first: a redriven letter that fails at once comes back as a new one, which is not meant.
        ids = [str(letter["id"]) for letter in self._letters(wanted, None)] if named is None else list(named)
        for start in range(0, len(ids), CHUNK):
            body: dict[str, Any] = {"ids": ids[start : start + CHUNK], "dry_run": dry_run, "force": force}
            yield self._client.post(f"{PATH}/{action}", body)["results"]

    def _letters(self, wanted: Wanted, limit: int | None) -> Iterator[dict[str, Any]]:
        """Letters, page by page; none twice, though a letter may move in its queue between two pages."""
        asked, seen, token = wanted.asked(), set[int](), None
        while True:
            size = PAGE if limit is None else min(PAGE, limit)
            page = self._client.get(PATH, {**asked, "limit": size, "token": token})
            for letter in page["letters"]:
                if letter["id"] not in seen:
                    seen.add(letter["id"])
                    yield letter
            token = page["next_token"]
            if token is None:
                return


def list_letters(box: Box, wanted: Wanted, *, limit: int, as_json: bool) -> int:
    """Print up to `limit` letters; answers the exit code."""
    found = box.find(wanted, limit)
    if as_json:
        more = {"notes": box.notes} if box.notes else {}
        typer.echo(json.dumps({"letters": found.letters, "is_all": found.is_all, **more}, ensure_ascii=False))
        return 0
    if found.letters:
        _print_table(found.letters)
        shown = len(found.letters)
        typer.echo(_count(shown) if found.is_all else f"the first {shown} dead letters; --limit shows more")
    else:
        typer.echo("no dead letters" + (" match" if wanted else ""))
    for note in box.notes:
        typer.echo(note)
    return 0


def show_letter(box: Box, named: str, *, as_json: bool) -> int:
    """Print one letter with its history; answers the exit code."""
    letter = box.show(named)
    if as_json:
        typer.echo(json.dumps(letter, ensure_ascii=False))
        return 0
    for line in _shown(letter):
        typer.echo(line)
    return 0


def end_letters(
    box: Box,
    action: Action,
    named: Sequence[str],
    wanted: Wanted,
    *,
    take_all: bool,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Redrive or drop letters; answers the exit code.

    Args:
        action: ``redrive`` or ``drop``.
        named: their numbers or ids; none with `take_all`.

    Raises:
        SettingsError: neither or both were said, or filters without `take_all`.
    """
    if take_all == bool(named):
        raise SettingsError(f"name the letters to {action}, or say --all (and not both)")
    if wanted and not take_all:
        raise SettingsError("filters choose among all letters: say --all with them")
    results: list[dict[str, Any]] = []
    ids = None if take_all else list(dict.fromkeys(named))
    for ended in box.end(action, ids, wanted, dry_run=dry_run, force=force):
        results += ended
        if not as_json:
            for one in ended:
                typer.echo(_ended(one, dry_run=dry_run))
    if as_json:
        more = {"notes": box.notes} if box.notes else {}
        typer.echo(json.dumps({"dry_run": dry_run, "results": results, **more}, ensure_ascii=False))
    else:
        for line in (_summary(results, dry_run=dry_run), *box.notes):
            typer.echo(line)
    left = {"refused"} if take_all else {"refused", "gone", "in flight"}
    return int(any(one["result"] in left for one in results))


def _print_table(letters: Iterable[Mapping[str, Any]]) -> None:
    from rich.box import SIMPLE  # noqa: PLC0415 - lazy: --json needs none of it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    table = Table(box=SIMPLE, pad_edge=False)
    for header in ("id", "kind", "state", "age", "rule or schedule", "item", "attempts", "reason"):
        table.add_column(header, overflow="fold")
    for letter in letters:
        cells = (
            str(letter["id"]),
            letter["kind"],
            letter["state"],
            age_text(letter["age_seconds"]),
            letter["rule"] or letter["schedule"] or letter.get("source_queue") or "",
            item_text(letter["table"], letter["key"]),
            str(letter.get("attempts") or ""),
            letter["reason"],
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _shown(letter: Mapping[str, Any]) -> Iterator[str]:
    yield f"dead letter {letter['id']}: a {_KINDS[letter['kind']]}, {letter['state']}, in {letter['queue']}"
    is_message = letter["kind"] == "message"
    for label, value in (
        ("reason", letter["reason"]),
        ("rule", letter["rule"]),
        ("item", item_text(letter["table"], letter["key"])),
        ("schedule", letter["schedule"]),
        ("queue it was in", letter.get("source_queue")),
        ("received", f"{letter['received']} times" if is_message else None),
        ("target", letter.get("target_arn")),
        ("due at", letter.get("due_at")),
        ("attempts", letter.get("attempts")),
        ("sent at" if is_message else "given up at", letter["sent_at"]),
        ("visible again at", letter.get("visible_at")),
        ("delivery id", letter.get("delivery_id")),
        ("redrives", letter.get("redrives")),
        ("redrive of", letter.get("redrive_of")),
        ("message id", letter["message_id"]),
    ):
        if value:
            yield f"  {label:<17} {value}"
    for entry in letter["history"]:
        end = entry["ended"] or ("this letter" if entry["id"] == letter["id"] else "no end")
        ended = f"{end} {entry['ended_at'] or ''} {entry['ended_reason'] or ''}".strip()
        attempts = f"after {entry['attempts']} attempts" if entry["attempts"] else "as a record"
        yield f"  history           {entry['at']}  letter {entry['id']} {attempts}: {entry['reason']}  ->  {ended}"
    if letter.get("body"):
        yield "  body              " + letter["body"]


def item_text(table: str | None, key: Mapping[str, Mapping[str, Any]] | None) -> str:
    """``Table PK=a SK=b``."""
    parts = [f"{name}={next(iter(value.values()))}" for name, value in (key or {}).items()]
    return " ".join([*([table] if table else []), *parts])


def _ended(one: Mapping[str, Any], *, dry_run: bool) -> str:
    word = _DONE[one["result"]]
    would = "would be " if dry_run and word in ("redriven", "dropped", "left") else ""
    told = [f"as {one['schedule']}"] if one["schedule"] else []
    told += [one["reason"]] if one["reason"] else []
    return f"{one['id']}  {would}{word}" + (f": {'; '.join(told)}" if told else "")


def _summary(results: Sequence[Mapping[str, Any]], *, dry_run: bool) -> str:
    if not results:
        return "no dead letters match"
    words = [_DONE[one["result"]] for one in results]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return f"{_count(len(results))}: {counts}" + (" (dry run: nothing was changed)" if dry_run else "")


def _count(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"
