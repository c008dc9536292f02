"""What happens, on stdout: a short line for each step of the flow, or one JSON object.

Printing must not hold up what it tells of. So the logging handler only hands records over; a thread of its own
puts them into words and prints them. A terminal that stands still, or a pipe that nobody reads, stops that thread
and nothing else. Of people's lines there are at most `MAX_LINES_PER_SECOND`; the rest is counted, and told in one.
"""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import msgspec

from duestream.cli.flow_words import Words

logger = logging.getLogger("duestream")

MAX_LINES_PER_SECOND = 50
#: JSON lines are never put together; so many wait for a slow reader, and what comes then is counted as lost.
MAX_WAITING = 100_000
#: How long after the last line of a full second the rest of it is told.
SETTLE_SECONDS = 1.0

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(frozen=True, slots=True)
class _Uncounted:
    """Steps that had no line of their own, by action."""

    created: float
    counts: Mapping[str, int]


class _Stop:
    """The thread ends here."""


class FlowLog(logging.Handler):
    """Prints the records of the logger `duestream` and its children. `start` it and `stop` it.

    Args:
        as_json: one object a line, with all fields.
        words: puts records into words for people.
        stream: where to print.
    """

    def __init__(self, *, as_json: bool, words: Words, stream: TextIO) -> None:
        super().__init__(logging.INFO)
        self._stream = stream
        self._words = words
        self._as_json = as_json
        self._write: Callable[[logging.LogRecord], str] = json_line if as_json else words.line
        self._pending: queue.SimpleQueue[logging.LogRecord | _Uncounted | type[_Stop]] = queue.SimpleQueue()
        self._second = 0
        self._shown = 0
        self._uncounted: Counter[str] = Counter()
        # A daemon: a reader that never reads must not keep the process.
        self._thread = threading.Thread(target=self._print, name="duestream-log", daemon=True)

    def start(self) -> None:
        """Begin to print."""
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Print what is waiting, if that does not take long."""
        logger.removeHandler(self)
        self._pending.put(_Stop)
        self._thread.join(timeout_seconds)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record over, or count it. Called with the handler's lock held."""
        if self._as_json:
            if self._pending.qsize() < MAX_WAITING:
                self._pending.put(record)
            else:
                self._uncounted["lost"] += 1
            return
        second = int(record.created)
        if second != self._second:
            self._flush_counts(record.created)
            self._second, self._shown = second, 0
        if self._shown < MAX_LINES_PER_SECOND:
            self._shown += 1
            self._pending.put(record)
        else:
            self._uncounted[getattr(record, "action", record.levelname)] += 1

    def _flush_counts(self, created: float) -> None:
        if self._uncounted:
            self._pending.put(_Uncounted(created, dict(self._uncounted)))
            self._uncounted.clear()

    # In the thread -------------------------------------------------------------------------------------

    def _print(self) -> None:
        try:
            while self._print_next():
                if self._pending.empty():
                    self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads any more (the pipe is closed). The server goes on; its log ends here.
            logger.removeHandler(self)

    def _print_next(self) -> bool:
        """Print one; False: that was the last."""
        try:
            # After a line there may be steps that were only counted: look, once the second is over.
            pending = self._pending.get(timeout=SETTLE_SECONDS)
        except queue.Empty:
            self._tell_counts()
            pending = self._pending.get()
        match pending:
            case logging.LogRecord():
                self._stream.write(self._write(pending) + "\n")
            case _Uncounted(created, counts):
                self._stream.write(self._counts_line(created, counts) + "\n")
            case _:
                self._tell_counts()
                return False
        return True

    def _tell_counts(self) -> None:
        """Print what was only counted so far."""
        self.acquire()
        try:
            created, counts = float(self._second), dict(self._uncounted)
            self._uncounted.clear()
        finally:
            self.release()
        if counts:
            self._stream.write(self._counts_line(created, counts) + "\n")
        self._stream.flush()

    def _counts_line(self, created: float, counts: Mapping[str, int]) -> str:
        if self._as_json:
            return msgspec.json.encode({"action": "log_lines_lost", "count": sum(counts.values())}).decode()
        return self._words.counts(created, counts)


def json_line(record: logging.LogRecord) -> str:
    """All that a record carries: time (seconds since 1970), level, message and its fields."""
    fields: dict[str, Any] = {
        "time": round(record.created, 3),
        "level": record.levelname.lower(),
        "message": record.getMessage(),
        "action": None,
        **{name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS},
    }
    if record.exc_info:
        fields["traceback"] = logging.Formatter().formatException(record.exc_info)
    return msgspec.json.encode(fields, enc_hook=str).decode()
