"""Measure the sweep function against an endpoint that takes 5 ms for each call.

    python benchmarks/aws/sweep_function.py [--quick] [--json]

- items deleted per second, beside the way of part 2 of the series: query and `batch_writer` without conditions, one
  shard after the other;
- items per second where each is read, a message is sent for it, and it is taken out of the index;
- how late the last of 10,000 is that are due at one instant, when the sweep begins at that instant;
- what becomes of items where the table takes 500 writes a second and throttles the rest;
- processor time of an item, and memory.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, process_time
from typing import Any

from duestream.clock import SystemClock

HERE = Path(__file__).parent
LATENCY_MS = 5
ITEMS = 10_000
SHARDS = 10
QUOTA = 500
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DUESTREAM_APP": "shop:app",
    "DUESTREAM_ACCOUNT_ID": "000000000000",
    "DUESTREAM_EXECUTION_ROLE_ARN": "arn:aws:iam::000000000000:role/shop-schedules",
    "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/shop-stream-dead-letters",
    "DUESTREAM_DELIVERIES_TABLE": "shop-deliveries",
    "DUESTREAM_WHEN_DUE_FUNCTION_ARN": "arn:aws:lambda:us-east-1:000000000000:function:shop-when-due",
}
EXPIRE = {"Table": "Offers", "Rule": "expire"}
CALL = {"Table": "Calls", "Rule": "call"}


class Context:
    """Lambda's, with two minutes left."""

    def __init__(self) -> None:
        self._ends_at = monotonic() + 120

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - monotonic()) * 1000)


class Endpoint:
    """The endpoint's process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fill(self, table: str, attribute: str, items: int, quota: int | None = None) -> None:
        """So many items, all due at this moment."""
        due_at = SystemClock().now().isoformat().replace("+00:00", "Z")
        settings = {"table": table, "attribute": attribute, "due_at": due_at, "items": items}
        body = json.dumps({**settings, "shards": SHARDS, "quota": quota}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_fill", data=body, method="POST")).close()

    def told(self) -> dict[str, Any]:
        """What it was asked since."""
        with urllib.request.urlopen(f"{self.url}/_told") as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Started, and ended."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        command = [sys.executable, str(HERE / "dynamodb_endpoint.py"), str(port_file), str(LATENCY_MS)]
        process = subprocess.Popen(command)
        try:
            while not (port_file.exists() and port_file.read_text()):
                assert process.poll() is None, "the endpoint did not start"
            yield Endpoint(f"http://127.0.0.1:{port_file.read_text()}")
        finally:
            process.terminate()
            process.wait()


def published_way(items: int) -> float:
    """Items per second of part 2's function: one shard after the other, no conditions."""
    import boto3  # noqa: PLC0415 - it is to find the endpoint

    table = boto3.resource("dynamodb").Table("Offers")
    begun = perf_counter()
    deleted = 0
    for shard in range(SHARDS):
        request: dict[str, Any] = {
            "IndexName": "ByExpiry",
            "KeyConditionExpression": "GSI_PK = :shard AND EXPIRES_AT <= :upper",
            "ExpressionAttributeValues": {":shard": str(shard), ":upper": "9999"},
        }
        while True:
            answer = table.query(**request)
            with table.batch_writer() as batch:
                for item in answer["Items"]:
                    batch.delete_item(Key={"id": item["id"]})
                    deleted += 1
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    assert deleted == items
    return items / (perf_counter() - begun)


def sweeps(at: Endpoint, lambda_event: dict[str, str], items: int, rounds: int) -> tuple[list[float], float, float]:
    """Seconds of each sweep, processor seconds of an item, and the greatest lateness in milliseconds."""
    from duestream.aws import sweep  # noqa: PLC0415 - reads the environment

    attribute = "EXPIRES_AT" if lambda_event is EXPIRE else "CALL_AT"
    seconds, busy, latest = [], [], 0.0
    for _ in range(rounds):
        at.fill(lambda_event["Table"], attribute, items)
        begun, begun_busy = perf_counter(), process_time()
        result = sweep.sweep_function().run(lambda_event, remaining=sweep.timedelta(seconds=120))
        seconds.append(perf_counter() - begun)
        busy.append((process_time() - begun_busy) / items)
        latest = max(latest, *result.lateness_ms)
        assert result.swept == items, result
        assert at.told()["indexed"] == 0
    return seconds, statistics.median(busy), latest


def measure(at: Endpoint, *, is_quick: bool) -> dict[str, object]:
    """All of it."""
    items, rounds = (3_000, 2) if is_quick else (ITEMS, 5)
    ways = []
    for _ in range(rounds):
        at.fill("Offers", "EXPIRES_AT", items)
        ways.append(published_way(items))
    published = statistics.median(ways)
    sweeps(at, EXPIRE, 200, 1)  # connections, and imports that are put off
    expired, busy, latest = sweeps(at, EXPIRE, items, rounds)
    sweeps(at, CALL, 200, 1)
    called, busy_call, _ = sweeps(at, CALL, items // 2, rounds)
    per_second = items / statistics.median(expired)
    return {
        "latency ms": LATENCY_MS,
        "items due at once": items,
        "the published way, items/s": round(published),
        "deleted, items/s": round(per_second),
        "deleted in the slowest sweep, items/s": round(items / max(expired)),
        "ratio": round(per_second / published, 2),
        "processor ms of a delete": round(busy * 1000, 3),
        f"the last of {items:,} is late, s": round(latest / 1000, 2),
        "read, sent, taken out, items/s": round(items // 2 / statistics.median(called)),
        "processor ms of such an item": round(busy_call * 1000, 3),
        **throttled(at, 2_000 if is_quick else 10_000),
    }


def throttled(at: Endpoint, items: int) -> dict[str, object]:
    """A table with a quota."""
    from duestream.aws import sweep  # noqa: PLC0415 - reads the environment

    at.fill("Offers", "EXPIRES_AT", items, quota=QUOTA)
    begun = perf_counter()
    result = sweep.sweep_function().run(EXPIRE, remaining=sweep.timedelta(seconds=120))
    seconds, told = perf_counter() - begun, at.told()
    return {
        f"at {QUOTA} writes/s, deleted": result.swept,
        f"at {QUOTA} writes/s, left to the next sweep": told["indexed"],
        f"at {QUOTA} writes/s, used": round(result.swept / seconds / QUOTA, 3),
        f"at {QUOTA} writes/s, throttled calls": told["counts"].get("throttled", 0),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer items and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE))
    with endpoint() as at:
        os.environ |= {**ENVIRONMENT, "AWS_ENDPOINT_URL": at.url}
        lines, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 - the metrics' lines
        try:
            found = measure(at, is_quick=arguments.quick)
        finally:
            sys.stdout = lines
        found["memory at the most, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if arguments.json:
        print(json.dumps(found))
    else:
        print("| What | Measured |\n| --- | ---: |")
        for name, value in found.items():
            print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
