"""Event source mappings at work: started, replaced and stopped as they are made, changed and deleted."""

import asyncio
import logging
from collections.abc import Sequence

from duestream.clock import Clock
from duestream.local.engine.queue_reader import QueueReader
from duestream.local.engine.stream_lane import Invoke, StreamLane
from duestream.local.store import mappings
from duestream.local.store.mappings import EventSourceMapping
from duestream.local.store.store import Store
from duestream.local.store.writer import Announcement, MappingsChanged, MessagesSent, RecordsWritten

logger = logging.getLogger(__name__)


class Mappings:
    """All mappings of a store. They wake at the commit that brings something for them."""

    def __init__(self, store: Store, clock: Clock, invoke: Invoke) -> None:
        self._store, self._clock, self._invoke = store, clock, invoke
        self._running: dict[int, _Running] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._is_started = False
        store.listen(self._on_commit)

    def start(self) -> None:
        """Begin with what there is."""
        self._is_started = True
        self._follow()

    async def stop(self, grace_seconds: float) -> None:
        """Let the batches under way end; what has not by then is cut off, and tried again at the next start."""
        self._is_started = False
        for running in self._running.values():
            running.stop()
        tasks = [running.task for running in self._running.values()] + [*self._ending]
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=grace_seconds)
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self) -> None:
        """Run what is there and enabled, as it is now."""
        wanted = {mapping.id: mapping for mapping in mappings.list_mappings(self._store.reader) if mapping.is_enabled}
        for mapping_id, running in list(self._running.items()):
            if mapping_id not in wanted:
                running.stop()
                self._end(self._running.pop(mapping_id))
        for mapping_id, mapping in wanted.items():
            before = self._running.get(mapping_id)
            if before is None or not before.is_as(mapping):
                if before is not None:
                    before.stop()
                self._running[mapping_id] = _Running(mapping, self._store, self._clock, self._invoke, before)

    def _end(self, running: "_Running") -> None:
        self._ending.add(running.task)
        running.task.add_done_callback(self._ending.discard)

    def _on_commit(self, announcements: Sequence[Announcement]) -> None:
        if not self._is_started:
            return
        for announcement in announcements:
            match announcement:
                case MappingsChanged():
                    self._follow()
                case RecordsWritten():
                    for running in self._running.values():
                        running.ring(None)
                case MessagesSent(queue_id):
                    for running in self._running.values():
                        running.ring(queue_id)


class _Running:
    """One mapping at work. It begins when what it replaces has ended."""

    def __init__(
        self, mapping: EventSourceMapping, store: Store, clock: Clock, invoke: Invoke, before: "_Running | None"
    ) -> None:
        self._mapping = mapping
        self.readers: list[StreamLane | QueueReader]
        if mapping.reads_queue:
            self.readers = [QueueReader(mapping, store, clock, invoke)]
        else:
            lanes = range(mapping.number("ParallelizationFactor", 1))
            self.readers = [StreamLane(mapping, lane, store, clock, invoke) for lane in lanes]
        self.task = asyncio.get_running_loop().create_task(self._run(before))

    def is_as(self, mapping: EventSourceMapping) -> bool:
        """Whether it runs what the mapping says now."""
        present = self._mapping
        return (present.configuration, present.function_name) == (mapping.configuration, mapping.function_name)

    async def _run(self, before: "_Running | None") -> None:
        if before is not None:
            await asyncio.wait([before.task])
        tasks = [asyncio.get_running_loop().create_task(reader.run()) for reader in self.readers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Begin nothing more."""
        for reader in self.readers:
            reader.stop()

    def ring(self, queue_id: int | None) -> None:
        """There is something new: in a queue, or (None) in some stream."""
        for reader in self.readers:
            if isinstance(reader, StreamLane) == (queue_id is None):
                reader.alarm.ring()
