"""Random histories of a queue against a list in memory that looks at every message, which the store must not do."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from duestream.errors import ServiceError
from duestream.local.store import messages, queues
from duestream.local.store.database import open_database
from duestream.local.store.messages import MessageCounts
from duestream.local.store.writer import Transaction

TIMEOUT_MS = 5_000
MAXIMUM_RECEIVES = 2


@dataclass
class Expected:
    """One message as the model knows it."""

    body: str
    group: str
    visible_at_ms: int
    receive_count: int = 0
    handle: str = ""

    def is_in_flight(self, now_ms: int) -> bool:
        return self.receive_count > 0 and self.visible_at_ms > now_ms


@contextmanager
def transaction() -> Iterator[Transaction]:
    """A transaction on a fresh data folder."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        try:
            database.write_connection.pragma("synchronous", "off")
            yield Transaction(database.write_connection)
        finally:
            database.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("send"), st.just(0), st.just(0)),
        st.tuples(st.just("receive"), st.integers(1, 4), st.integers(0, 5)),
        st.tuples(st.just("delete"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("change"), st.integers(0, 9), st.integers(0, 8)),
        st.tuples(st.just("tick"), st.integers(1, 6), st.just(0)),
    ),
    max_size=60,
)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class History:
    """Carries out steps on the store and on the model."""

    def __init__(self, tx: Transaction, name: str, attributes: dict[str, str]) -> None:
        self.tx, self.now_ms, self.sent = tx, 1_000_000, 0
        self.queue = queues.create_queue(tx, name, region="us-east-1", attributes=attributes, now_ms=self.now_ms)
        self.waiting: list[Expected] = []
        self.dead: list[str] = []
        self.handles: list[tuple[Expected, str]] = []

    def send(self, group: int, delay: int) -> None:
        body = f"{self.sent:04d}"
        self.sent += 1
        fifo = self.queue.is_fifo
        queues.send_message(
            self.tx,
            self.queue,
            body=body,
            delay_seconds=None if fifo else delay,
            group_id=f"g{group}" if fifo else None,
            deduplication_id=body if fifo else None,
            now_ms=self.now_ms,
        )
        self.waiting.append(Expected(body, f"g{group}", self.now_ms + (0 if fifo else delay * 1000)))

    def receive(self, limit: int, timeout: int) -> None:
        received = messages.receive_messages(
            self.tx, self.queue, limit=limit, visibility_timeout_seconds=timeout, now_ms=self.now_ms
        )
        bodies = [one.message.body for one in received]
        if self.queue.is_fifo:
            self.check_fifo(bodies, limit)
        else:
            self.check_standard(bodies, limit)
        by_body = {message.body: message for message in self.waiting}
        for one in received:
            message = by_body[one.message.body]
            message.receive_count += 1
            message.visible_at_ms = self.now_ms + timeout * 1000
            message.handle = one.receipt_handle
            self.handles.append((message, one.receipt_handle))
            assert one.message.receive_count == message.receive_count

    def check_standard(self, bodies: list[str], limit: int) -> None:
        visible = [message for message in self.waiting if message.visible_at_ms <= self.now_ms]
        expected: list[str] = []
        for message in sorted(visible, key=lambda message: (message.visible_at_ms, message.body)):
            if len(expected) == limit:
                break
            if message.receive_count >= MAXIMUM_RECEIVES:
                self.waiting.remove(message)
                self.dead.append(message.body)
            else:
                expected.append(message.body)
        assert bodies == expected

    def check_fifo(self, bodies: list[str], limit: int) -> None:
        free = 0
        for group in ("g0", "g1", "g2"):
            members = [message for message in self.waiting if message.group == group]
            got = [body for body in bodies if body in {message.body for message in members}]
            assert got == [message.body for message in members][: len(got)]  # from the front, in order
            if any(message.is_in_flight(self.now_ms) for message in members):
                assert got == []
            else:
                free += len(members)
        assert len(bodies) == min(limit, free)

    def delete(self, number: int) -> None:
        if not self.handles:
            return
        message, handle = self.handles[number % len(self.handles)]
        expired = handle != message.handle or message.visible_at_ms <= self.now_ms
        refused = self.queue.is_fifo and expired and message in self.waiting
        try:
            messages.delete_message(self.tx, self.queue, handle, now_ms=self.now_ms)
        except ServiceError:
            assert refused
        else:
            assert not refused
            if message in self.waiting:
                self.waiting.remove(message)

    def change(self, number: int, timeout: int) -> None:
        if not self.handles:
            return
        message, handle = self.handles[number % len(self.handles)]
        expired = handle != message.handle or message.visible_at_ms <= self.now_ms
        refused = message not in self.waiting or (self.queue.is_fifo and expired)
        try:
            messages.change_visibility(
                self.tx, self.queue, handle, visibility_timeout_seconds=timeout, now_ms=self.now_ms
            )
        except ServiceError:
            assert refused
        else:
            assert not refused
            message.visible_at_ms = self.now_ms + timeout * 1000

    def step(self, kind: str, first: int, second: int) -> None:
        match kind:
            case "send":
                self.send(first, second)
            case "receive":
                self.receive(first, second)
            case "delete":
                self.delete(first)
            case "change":
                self.change(first, second)
            case _:
                self.now_ms += first * 1000
        self.check_counts()

    def check_counts(self) -> None:
        visible = sum(message.visible_at_ms <= self.now_ms for message in self.waiting)
        in_flight = sum(message.is_in_flight(self.now_ms) for message in self.waiting)
        counts = messages.count_messages(self.tx.connection, self.queue, now_ms=self.now_ms)
        assert counts == MessageCounts(visible, in_flight, len(self.waiting) - visible - in_flight)
        if not self.waiting:
            assert messages.next_visible_at_ms(self.tx.connection, self.queue) is None


@given(STEPS)
@SETTINGS
def test_a_standard_queue_does_what_its_model_does(steps: list[tuple[str, int, int]]) -> None:
    with transaction() as tx:
        dead_letter_queue = queues.create_queue(tx, "dead", region="us-east-1", now_ms=0)
        policy = f'{{"deadLetterTargetArn":"{dead_letter_queue.arn}","maxReceiveCount":{MAXIMUM_RECEIVES}}}'
        history = History(tx, "source", {"RedrivePolicy": policy})
        for step in steps:
            history.step(*step)
        dead = tx.execute("SELECT body FROM message WHERE queue_id = ? ORDER BY id", (dead_letter_queue.id,)).fetchall()
        assert [body for (body,) in dead] == history.dead


@example([("send", 0, 0), ("send", 0, 0), ("receive", 2, 5), ("change", 0, 0), ("receive", 2, 5)])
@given(STEPS)
@SETTINGS
def test_a_fifo_queue_keeps_the_promises_of_its_model(steps: list[tuple[str, int, int]]) -> None:
    with transaction() as tx:
        history = History(tx, "source.fifo", {"FifoQueue": "true"})
        for step in steps:
            history.step(*step)
        groups = {message.group for message in history.waiting}
        assert tx.execute("SELECT count(*) FROM message_group").get == len(groups)
