"""GET /metrics: what Prometheus scrapes. Nothing of prometheus-client's is imported before it is first asked for.

Counters and histograms begin at 0 with the process, as Prometheus expects; gauges are read when they are asked for,
none of them by counting rows. What is told apart by schedule group or queue is bounded.
"""

import asyncio
import base64
import binascii
import hmac
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from duestream.clock import Clock
from duestream.core.histogram import Histogram
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue
from duestream.local.engine.engine import Engine
from duestream.local.request_counts import RequestCounts
from duestream.local.store import dead_letters, metrics
from duestream.local.store.store import Store
from duestream.version import __version__

PATH = "/metrics"
#: Queues that are told apart, the deepest ones; the others are put together.
MAX_QUEUES = 20
OTHER = "(other)"

#: AWS's names and ours to Prometheus's name and a sentence.
_COUNTERS = {
    "InvocationAttemptCount": ("invocation_attempts", "Attempts to deliver"),
    "TargetErrorCount": ("target_errors", "Attempts that failed"),
    "TargetErrorThrottledCount": ("target_errors_throttled", "Attempts that failed as the target was called too often"),
    "InvocationDroppedCount": ("invocations_dropped", "Deliveries given up, with or without a dead-letter queue"),
    "InvocationsSentToDeadLetterCount": ("dead_letters_sent", "Deliveries given up that stand in a dead-letter queue"),
    "InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded": (
        "dead_letters_truncated",
        "Dead letters whose body was cut",
    ),
    "Delivered": ("deliveries", "Deliveries that their target has taken"),
    "Skipped": ("deliveries_skipped", "Deliveries that had nothing to do any more, or were past due and passed over"),
    "Missed": ("occurrences_missed", "Occurrences of recurring schedules that were not delivered"),
    "Redriven": ("dead_letters_redriven", "Dead letters that were sent on their way again"),
}
_FAILED_LETTERS = "InvocationsFailedToBeSentToDeadLetterCount_"


class Exporter:
    """Renders one server's metrics, in a registry of its own."""

    def __init__(
        self, store: Store, engine: Engine, requests: RequestCounts, clock: Clock, app_name: str | None
    ) -> None:
        self._store, self._engine, self._requests, self._clock, self._app = store, engine, requests, clock, app_name

    async def render(self) -> tuple[bytes, str]:
        """The text and its content type."""
        core = await asyncio.to_thread(importlib.import_module, "prometheus_client.core")  # takes 50 ms at first
        client = importlib.import_module("prometheus_client")
        families = list(self._collect(core))
        return await asyncio.to_thread(_text_of, client, families), client.CONTENT_TYPE_LATEST

    def _collect(self, core: Any) -> Iterator[Any]:
        yield core.InfoMetricFamily("duestream", "This server", {"version": __version__})
        yield from self._deliveries(core)
        yield from self._engine_gauges(core)
        yield from self._queues(core)
        yield from self._store_metrics(core)
        labels = ("service", "operation", "status")
        text = "From a request's last byte to its answer"
        http = core.HistogramMetricFamily("duestream_http_request_duration_seconds", text, labels=labels)
        for (service, operation, status), histogram in self._requests.latencies.items():
            _add(http, (service, operation, f"{status}xx"), histogram)
        yield http

    def _deliveries(self, core: Any) -> Iterator[Any]:
        recorder = self._store.recorder
        families = {
            name: core.CounterMetricFamily(f"duestream_{told}", text, labels=("schedule_group",))
            for name, (told, text) in _COUNTERS.items()
        }
        text = "Deliveries given up that their dead-letter queue did not take"
        refused = core.CounterMetricFamily("duestream_dead_letters_refused", text, labels=("schedule_group", "code"))
        groups = {group for _, group in recorder.totals} | ({self._app} if self._app else set())
        for group in sorted(groups):
            for name, family in families.items():  # also what is 0: an increase from nothing would not be seen
                family.add_metric((group,), recorder.totals.get((name, group), 0.0))
        for (name, group), count in recorder.totals.items():
            if name.startswith(_FAILED_LETTERS):
                refused.add_metric((group, name.removeprefix(_FAILED_LETTERS)), count)
        yield from families.values()
        yield refused
        text = "From the due time until the target had it"
        lateness = core.HistogramMetricFamily("duestream_delivery_lateness_seconds", text, labels=("schedule_group",))
        for group, histogram in recorder.lateness.items():
            _add(lateness, (group,), histogram)
        yield lateness

    def _engine_gauges(self, core: Any) -> Iterator[Any]:
        engine = self._engine
        for name, text, value in (
            ("pending_schedules", "Schedules with something to come", engine.pending),
            ("deliveries_in_flight", "Deliveries that are started and not settled", engine.in_progress),
            ("deliveries_held", "Due deliveries that wait until their item's changes are planned", engine.held),
            ("unplanned_stream_records", "Stream records that are not planned yet", engine.unplanned),
            (
                "stream_lag_seconds",
                "Age of the oldest stream record that is not planned yet",
                engine.stream_lag_seconds,
            ),
        ):
            yield core.GaugeMetricFamily(f"duestream_{name}", text, value=value)

    def _queues(self, core: Any) -> Iterator[Any]:
        reader = self._store.reader
        text = "Messages in a queue: visible, delayed or in flight"
        messages = core.GaugeMetricFamily("duestream_queue_messages", text, labels=("queue",))
        deepest, others, in_others = metrics.deepest_queues(reader, MAX_QUEUES)
        for name, count in deepest:
            messages.add_metric((name,), count)
        if others:
            messages.add_metric((OTHER,), in_others)
        yield messages
        text = "Age of the oldest message in a dead-letter queue"
        oldest = core.GaugeMetricFamily("duestream_oldest_dead_letter_age_seconds", text, labels=("queue",))
        for name in self._dead_letter_queues():
            sent_at_ms = metrics.oldest_message_sent_at_ms(reader, name)
            age_ms = 0 if sent_at_ms is None else max(0, self._clock.now_ms() - sent_at_ms)
            oldest.add_metric((name,), age_ms / 1000)
        yield oldest

    def _dead_letter_queues(self) -> Iterable[str]:
        """The app's two, and further ones that dead letters were put into."""
        own = [] if self._app is None else [schedule_dead_letter_queue(self._app), stream_dead_letter_queue(self._app)]
        others = [name for name in dead_letters.dead_letter_queues(self._store.reader) if name not in own]
        return [*own, *others[:MAX_QUEUES]]

    def _store_metrics(self, core: Any) -> Iterator[Any]:
        writer = self._store.writer
        text = "Pages (4 KiB) in SQLite's write-ahead log"
        yield core.GaugeMetricFamily("duestream_store_log_pages", text, value=writer.log.pages)
        text = "Writes that share one commit"
        sizes = core.HistogramMetricFamily("duestream_store_group_size", text)
        _add(sizes, (), writer.group_sizes)
        yield sizes
        text = "How long commits took, the fsync included"
        seconds = core.HistogramMetricFamily("duestream_store_commit_seconds", text)
        _add(seconds, (), writer.log.commit_seconds)
        yield seconds


def _add(family: Any, labels: Iterable[str], histogram: Histogram) -> None:
    buckets, seen = [], 0
    bounds = [*(repr(float(bound)) for bound in histogram.bounds), "+Inf"]
    for bound, count in zip(bounds, tuple(histogram.counts), strict=True):
        seen += count
        buckets.append((bound, seen))
    family.add_metric(tuple(labels), buckets, sum_value=histogram.total)


class _Collected:
    """Families that were made already."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        return self._families


def _text_of(client: Any, families: Iterable[Any]) -> bytes:
    registry = client.CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    client.ProcessCollector(registry=registry)
    text: bytes = client.generate_latest(registry)
    return text


def has_password(authorization: str, credentials: Mapping[str, str]) -> bool:
    """Whether this is HTTP's basic form of one of the access keys: scrapers cannot sign as AWS's clients do."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        key_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    expected = credentials.get(key_id)
    return expected is not None and hmac.compare_digest(secret.encode(), expected.encode())
