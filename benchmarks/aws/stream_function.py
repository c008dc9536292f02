"""Measure the stream function against an endpoint that takes 20 ms for each call.

    python benchmarks/aws/stream_function.py [--quick] [--json] [--profile]

- records per second of 1,000-record batches, beside the published sequential loop (`create_schedule`, one by one);
- calls per record where items change several times within a batch;
- at a quota of 1,000 calls a second: what is lost (nothing may be), and how much of the quota is used;
- what importing the handler takes above boto3, and how much memory the function needs.
"""

import argparse
import cProfile
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

HERE = Path(__file__).parent
LATENCY_MS = 20
BATCH_SIZE = 1_000
QUOTA = 1_000
STREAM_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Appointments/stream/2026-11-23T00:00:00.000"
DUE_AT = datetime(2030, 1, 1, 9, tzinfo=UTC)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DUESTREAM_APP": "clinic:app",
    "DUESTREAM_ACCOUNT_ID": "000000000000",
    "DUESTREAM_EXECUTION_ROLE_ARN": "arn:aws:iam::000000000000:role/clinic-schedules",
    "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/clinic-stream-dead-letters",
    "DUESTREAM_DELIVERIES_TABLE": "clinic-deliveries",
    "DUESTREAM_WHEN_DUE_FUNCTION_ARN": "arn:aws:lambda:us-east-1:000000000000:function:clinic-when-due",
}
IMPORT = "import time, boto3; t = time.perf_counter(); import duestream.aws.handler; print(time.perf_counter() - t)"
IMPORT_BOTO3 = "import time; t = time.perf_counter(); import boto3; print(time.perf_counter() - t)"


class Context:
    """Lambda's, with a minute and a half left."""

    def __init__(self, seconds: float = 90.0) -> None:
        self._ends_at = monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - monotonic()) * 1000)


class Endpoint:
    """The endpoint's process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def forget(self, quota: int | None = None, kind: str = "bucket") -> None:
        """Begin anew."""
        body = json.dumps({"quota": quota, "kind": kind}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_forget", data=body, method="POST")).close()

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
        command = [sys.executable, str(HERE / "scheduler_endpoint.py"), str(port_file), str(LATENCY_MS)]
        process = subprocess.Popen(command)
        try:
            while not (port_file.exists() and port_file.read_text()):
                assert process.poll() is None, "the endpoint did not start"
            yield Endpoint(f"http://127.0.0.1:{port_file.read_text()}")
        finally:
            process.terminate()
            process.wait()


def records_of(count: int, *, items: int | None = None, first: int = 0) -> list[dict[str, Any]]:
    """Stream records of so many items (one each by default): each is inserted, and then moved."""
    items = items or count
    return [_record(first + number, first + number % items, number // items) for number in range(count)]


def _record(number: int, item: int, version: int) -> dict[str, Any]:
    def image(version: int) -> dict[str, Any]:
        due_at = DUE_AT + timedelta(minutes=item % 500_000, days=version)
        texts = {"PK": f"patient-{item}", "SK": "appointment", "email": "ann@example.com", "room": "B-117"}
        return {name: {"S": text} for name, text in {**texts, "REMINDER_TIMESTAMP": due_at.isoformat()}.items()}

    new = image(version)
    change = {
        "ApproximateCreationDateTime": 1795435200.0,
        "Keys": {"PK": new["PK"], "SK": new["SK"]},
        "NewImage": new,
        "SequenceNumber": f"{100_000_000_000_000_000_000 + number}",
        "SizeBytes": 250,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if version:
        change["OldImage"] = image(version - 1)
    event_name = "MODIFY" if version else "INSERT"
    return {"eventName": event_name, "eventSourceARN": STREAM_ARN, "dynamodb": change}


def sequential_loop(url: str, count: int) -> float:
    """Records per second of the published loop: one client, one call after the other."""
    import boto3  # noqa: PLC0415 - its import is measured

    client = boto3.client("scheduler", endpoint_url=url)
    begun = 0.0
    for number in range(count + 1):
        if number == 1:
            begun = perf_counter()  # the first call opens the connection
        client.create_schedule(
            Name=f"dynamodb_ttl_patient-{number}_appointment",
            ScheduleExpression="at(2030-01-01T09:00:00)",
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": "arn:aws:scheduler:::aws-sdk:dynamodb:deleteItem",
                "RoleArn": "arn:aws:iam::000000000000:role/r",
                "Input": json.dumps({"Key": {"PK": {"S": f"patient-{number}"}}, "TableName": "Appointments"}),
            },
        )
    return count / (perf_counter() - begun)


def run_batches(batches: list[list[dict[str, Any]]]) -> float:
    """Seconds for all batches, one after the other, as an event source mapping hands them over."""
    from duestream.aws import handler  # noqa: PLC0415 - its import is measured

    begun = perf_counter()
    for batch in batches:
        remaining = batch
        while remaining:
            failures = handler.handle({"Records": remaining}, Context())["batchItemFailures"]
            if not failures:
                break
            numbers = [record["dynamodb"]["SequenceNumber"] for record in remaining]
            remaining = remaining[numbers.index(failures[0]["itemIdentifier"]) :]
    return perf_counter() - begun


def measure(at: Endpoint, *, is_quick: bool) -> dict[str, object]:
    """All of it."""
    rounds = 3 if is_quick else 10
    loop_per_second = sequential_loop(at.url, 50 if is_quick else 200)
    run_batches([records_of(64, first=90_000_000)])  # connections, and imports that are put off
    seconds = []
    for _ in range(rounds):
        at.forget()
        seconds.append(run_batches([records_of(BATCH_SIZE)]))
        assert len(at.told()["schedules"]) == BATCH_SIZE
    per_second = BATCH_SIZE / statistics.median(seconds)
    at.forget()
    run_batches([records_of(BATCH_SIZE, items=BATCH_SIZE // 4)])
    calls = sum(at.told()["counts"].values())
    at.forget()
    run_batches(
        [
            records_of(BATCH_SIZE),
            records_of(2 * BATCH_SIZE)[BATCH_SIZE:],
        ]
    )
    found: dict[str, object] = {
        "latency ms": LATENCY_MS,
        "batch": BATCH_SIZE,
        "sequential loop, records/s": round(loop_per_second, 1),
        "stream function, records/s": round(per_second),
        "slowest batch, records/s": round(BATCH_SIZE / max(seconds)),
        "ratio": round(per_second / loop_per_second, 1),
        "calls per record, 4 records an item": calls / BATCH_SIZE,
    }
    for kind in ("bucket", "second"):
        found |= quota_use(at, kind, 4 if is_quick else 15)
    return found


def quota_use(at: Endpoint, kind: str, batches: int) -> dict[str, object]:
    """What becomes of batches at the quota."""
    at.forget(QUOTA, kind)
    run_batches([records_of(BATCH_SIZE, first=number * BATCH_SIZE) for number in range(batches)])
    told = at.told()
    done = told["counts"].get("POST", 0)
    return {
        f"quota of {QUOTA}/s ({kind}), lost": batches * BATCH_SIZE - len(told["schedules"]),
        f"quota of {QUOTA}/s ({kind}), used": round(done / told["seconds"] / QUOTA, 3),
        f"quota of {QUOTA}/s ({kind}), throttled calls": told["counts"].get("throttled", 0),
    }


def import_ms(code: str, rounds: int) -> float:
    """The median of so many fresh processes."""
    took = [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        for _ in range(rounds)
    ]
    return round(statistics.median(took) * 1000, 1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--profile", action="store_true", help="where the time of one thread goes")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 9
    found: dict[str, object] = {
        "import of boto3, ms": import_ms(IMPORT_BOTO3, rounds),
        "import of the handler above boto3's, ms": import_ms(IMPORT, rounds),
    }
    sys.path.insert(0, str(HERE))
    with endpoint() as at:
        os.environ |= {**ENVIRONMENT, "AWS_ENDPOINT_URL": at.url}
        lines, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 - the metrics' lines
        try:
            found |= measure(at, is_quick=arguments.quick)
            if arguments.profile:
                profile(at)
        finally:
            sys.stdout = lines
    found["memory at the most, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if arguments.json:
        print(json.dumps(found))
    else:
        print("| What | Measured |\n| --- | ---: |")
        for name, value in found.items():
            print(f"| {name} | {value} |")


def profile(at: Endpoint) -> None:
    """One batch with one thread."""
    os.environ["DUESTREAM_CONCURRENCY"] = "1"
    at.forget()
    profiler = cProfile.Profile()
    profiler.runcall(run_batches, [records_of(100)])
    profiler.print_stats("cumulative")


if __name__ == "__main__":
    main()
