"""Scans of whole tables, in parallel segments, that can be gone on with where they stopped."""

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from duestream.aws.stack.found_tables import KEY_REMEDY, key_problem
from duestream.aws.stack.session import Access, AwsError, told_plainly
from duestream.core.record import Item
from duestream.core.rule import TableDeclaration
from duestream.errors import Error

DEFAULT_SEGMENTS = 4
MAX_SEGMENTS = 64
#: Items of a page; each is one step that can be gone back to.
PAGE_ITEMS = 100
#: BatchGetItem's limit.
MAX_KEYS = 100


class Progress:
    """How far the scans of an app's tables have come; kept in a file, so that they can be gone on with.

    Args:
        path: of the file; None: it is not kept.
        asked: what it is for. Progress of another app, place or number of segments is not gone on with.
    """

    def __init__(self, path: Path | None, asked: Mapping[str, Any]) -> None:
        self._path, self._asked = path, dict(asked)
        self._lock = threading.Lock()
        self._tables: dict[str, dict[str, Any]] = {}
        self.was_found = False
        if path is not None and path.exists():
            self._read(path)

    def begin(self, table_name: str, segments: int) -> None:
        """Have a place for each segment of a table."""
        fresh = {"counts": {}, "segments": [{"done": False, "after": None} for _ in range(segments)]}
        with self._lock:
            self._tables.setdefault(table_name, fresh)

    def after(self, table_name: str, segment: int) -> tuple[bool, Item | None]:
        """Whether a segment is done, and after which key it goes on (None: from its start)."""
        with self._lock:
            place = self._tables[table_name]["segments"][segment]
            return place["done"], place["after"]

    def moved(self, table_name: str, segment: int, last_key: Item | None, counts: Mapping[str, int]) -> None:
        """Note that a page is done with, and what was counted on it. No last key: so is the segment."""
        with self._lock:
            table = self._tables[table_name]
            table["segments"][segment] = {"done": last_key is None, "after": last_key}
            for name, count in counts.items():
                table["counts"][name] = table["counts"].get(name, 0) + count
            self._write()

    def counts(self, table_name: str) -> dict[str, int]:
        """What was counted of a table, in all runs together."""
        with self._lock:
            return dict(self._tables.get(table_name, {}).get("counts", {}))

    def end(self) -> None:
        """All is done: the file goes."""
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()

    def _read(self, path: Path) -> None:
        try:
            kept = json.loads(path.read_text("utf-8"))
            asked, tables = kept["asked"], kept["tables"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise Error(f"{path} is no progress of ours: {error}. Remove it, or name another with --state.") from error
        if asked != self._asked:
            raise Error(
                f"{path} is the progress of something else: {json.dumps(asked)}. Go on with what it is for, or begin "
                "anew with --restart."
            )
        self._tables, self.was_found = tables, True

    def _write(self) -> None:
        """In one step, so that a kill leaves the one before or this one."""
        if self._path is None:
            return
        text = json.dumps({"asked": self._asked, "tables": self._tables})
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.write_text(text, "utf-8")
        beside.replace(self._path)


def described(access: Access, table: TableDeclaration) -> Mapping[str, Any]:
    """DescribeTable's ``Table``, of a table that has the key that was declared.

    Raises:
        AwsError: it has another, there is no such table, or AWS refused.
    """
    with told_plainly(access):
        found: Mapping[str, Any] = access.client("dynamodb").describe_table(TableName=table.name)["Table"]
    problem = key_problem(table, found)
    if problem:
        raise AwsError(problem, remedy=KEY_REMEDY)
    return found


#: Does what is to be done with a page of items; answers what it counted.
Page = Callable[[Sequence[Item]], Mapping[str, int]]


def scan(
    access: Access,
    table_name: str,
    *,
    segments: int,
    progress: Progress,
    page: Page,
    tell: Callable[[], None] = lambda: None,
) -> None:
    """Show every item of a table to `page`, segment beside segment, in threads.

    Args:
        access: the way to DynamoDB.
        table_name: the table.
        segments: how many threads.
        progress: where each segment stands; moved on after each page.
        page: called in several threads at once.
        tell: called after each page, in several threads.

    Raises:
        Error: AWS refused, or `page` did; pages that were done are noted.
    """
    progress.begin(table_name, segments)
    stopping = threading.Event()

    def work(segment: int) -> None:
        done, after = progress.after(table_name, segment)
        while not done and not stopping.is_set():
            request: dict[str, Any] = {
                "TableName": table_name,
                "Limit": PAGE_ITEMS,
                "ConsistentRead": True,
                "Segment": segment,
                "TotalSegments": segments,
            }
            if after is not None:
                request["ExclusiveStartKey"] = boto_form(after)
            with told_plainly(access):
                answer = access.client("dynamodb").scan(**request)
            counts = page([_plain(item) for item in answer["Items"]]) if answer["Items"] else {}
            after = answer.get("LastEvaluatedKey")
            done = after is None
            progress.moved(table_name, segment, None if after is None else _plain(after), counts)
            tell()

    access.client("dynamodb")  # made once, before the threads are there
    with ThreadPoolExecutor(segments, thread_name_prefix="scan") as pool:
        working = [pool.submit(work, segment) for segment in range(segments)]
        try:
            ended, _ = wait(working, return_when=FIRST_EXCEPTION)
        finally:
            stopping.set()
        for worker in ended:
            worker.result()


def read_items(access: Access, table_name: str, keys: Sequence[Item]) -> list[Item]:
    """The items of these keys, as they are now; those that are gone are left out.

    Raises:
        Error: AWS refused.
    """
    found: list[Item] = []
    for start in range(0, len(keys), MAX_KEYS):
        wanted: Any = {
            table_name: {"Keys": [boto_form(key) for key in keys[start : start + MAX_KEYS]], "ConsistentRead": True}
        }
        while wanted:
            with told_plainly(access):
                answer = access.client("dynamodb").batch_get_item(RequestItems=wanted)
            found += [_plain(item) for item in answer["Responses"].get(table_name, [])]
            wanted = answer.get("UnprocessedKeys")
    return found


def _plain(value: Any) -> Any:
    """boto3's form of an item (bytes where there are binaries) in the form that goes over the wire."""
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return value


def boto_form(key: Item) -> dict[str, Any]:
    """A key as boto3 takes it: binaries are bytes."""
    return {
        name: {"B": base64.b64decode(value["B"])} if isinstance(value.get("B"), str) else value
        for name, value in key.items()
    }
