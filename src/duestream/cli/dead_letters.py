"""`duestream dead-letters`: lists, shows, redrives and drops dead letters of a running server."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def list_letters(client: AdminClient, wanted: Wanted, *, limit: int, as_json: bool) -> int:
    """Print up to `limit` letters; answers the exit code."""
    found: list[dict[str, Any]] = []
    more = False
    for letter in _letters(client, wanted, limit + 1):
        more = len(found) == limit
        if more:
            break
        found.append(letter)
    if as_json:
        typer.echo(json.dumps({"letters": found, "is_all": not more}, ensure_ascii=False))
        return 0
    if not found:
        typer.echo("no dead letters" + (" match" if wanted else ""))
        return 0
    _print_table(found)
    count = f"the first {len(found)} dead letters; --limit shows more" if more else _count(len(found))
    typer.echo(count)
    return 0


def show_letter(client: AdminClient, named: str, *, as_json: bool) -> int:
    """Print one letter with its history; answers the exit code."""
    letter = client.get(f"{PATH}/show", {"id": named})
    if as_json:
        typer.echo(json.dumps(letter, ensure_ascii=False))
        return 0
    for line in _shown(letter):
        typer.echo(line)
    return 0


def end_letters(
    client: AdminClient,
    action: str,
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
        named: their numbers; none with `take_all`.

    Raises:
        SettingsError: neither or both were said, or filters without `take_all`.
    """
    if take_all == bool(named):
        raise SettingsError(f"name the letters to {action}, or say --all (and not both)")
    if wanted and not take_all:
        raise SettingsError("filters choose among all letters: say --all with them")
    # All numbers first: a redriven letter that fails at once comes back as a new one, which is not meant.
    ids = [str(letter["id"]) for letter in _letters(client, wanted, None)] if take_all else list(dict.fromkeys(named))
    results: list[dict[str, Any]] = []
    for start in range(0, len(ids), CHUNK):
        body: dict[str, Any] = {"ids": ids[start : start + CHUNK], "dry_run": dry_run, "force": force}
        ended = client.post(f"{PATH}/{action}", body)["results"]
        results += ended
        if not as_json:
            for one in ended:
                typer.echo(_ended(one, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "results": results}, ensure_ascii=False))
    else:
        typer.echo(_summary(results, dry_run=dry_run))
    left = {"refused"} if take_all else {"refused", "gone", "in flight"}
    return int(any(one["result"] in left for one in results))


def _letters(client: AdminClient, wanted: Wanted, limit: int | None) -> Iterator[dict[str, Any]]:
    """Letters, page by page; none twice, though a letter may move in its queue between two pages."""
    asked, seen, token = wanted.asked(), set[int](), None
    while True:
        size = PAGE if limit is None else min(PAGE, limit)
        page = client.get(PATH, {**asked, "limit": size, "token": token})
        for letter in page["letters"]:
            if letter["id"] not in seen:
                seen.add(letter["id"])
                yield letter
        token = page["next_token"]
        if token is None:
            return


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
