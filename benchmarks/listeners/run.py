"""Measure the real request path behind four HTTP listeners, and print a markdown table.

    python benchmarks/listeners/run.py [--seconds 2] [--rounds 3] [--operations PutItem GetItem] [--folder DIR]

Each contender runs in a process of its own with a fresh data folder, the client in this one; the rounds are
interleaved, and the median round counts. Takes about operations x contenders x 3 x rounds x seconds.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import client

CONTENDERS = ("own", "granian", "uvicorn", "aiohttp")
CONNECTIONS = (1, 16, 64)
TABLE = "Appointment-Table"
SCOPE = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20300101/us-east-1/dynamodb/aws4_request, "
    f"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={'0' * 64}"
)


def request_bytes(port: int, operation: str, number: int, version: int = 0) -> bytes:
    """What botocore would send."""
    key = {"PK": {"S": f"patient#{number}"}, "SK": {"S": "appointment#1"}}
    attributes = {
        "email": {"S": "someone@clinic.example"},
        "REMINDER_TIMESTAMP": {"S": f"2030-01-01T09:0{version}:00Z"},
    }
    body = {
        "CreateTable": {
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
        "PutItem": {"TableName": TABLE, "Item": key | attributes},
        "GetItem": {"TableName": TABLE, "Key": key},
    }[operation]
    encoded = json.dumps(body).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: identity\r\n"
        f"X-Amz-Target: DynamoDB_20120810.{operation}\r\nContent-Type: application/x-amz-json-1.0\r\n"
        "User-Agent: Boto3/1.44 md/Botocore#1.44 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11\r\n"
        f"X-Amz-Date: 20300101T000000Z\r\nAuthorization: {SCOPE}\r\n"
        f"amz-sdk-invocation-id: 00000000-0000-0000-0000-000000000000\r\nContent-Length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded


def rows(port: int, operation: str, connections: int) -> list[list[bytes]]:
    """Each connection has its own item, and each put changes it: so each has a stream record too."""
    return [[request_bytes(port, operation, number, version) for version in range(4)] for number in range(connections)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody listens; ten seconds at the most."""
    pause = threading.Event()
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.01)
    raise RuntimeError(f"nobody listens on port {port}")


@contextmanager
def serving(contender: str, folder: str) -> Iterator[int]:
    """The contender's server in a process of its own; gives its port."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("servers.py")), contender, str(port), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "READY"
            wait_for(port)  # granian and uvicorn say so before they listen
            yield port
        finally:
            os.killpg(process.pid, 9)


def measure(arguments: argparse.Namespace) -> dict[tuple[str, str, int], list[tuple[float, float, float]]]:
    results = defaultdict(list)
    for round_number in range(arguments.rounds):
        for contender in CONTENDERS:
            with (
                tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
                serving(contender, folder) as port,
            ):
                client.ask(port, [[request_bytes(port, "CreateTable", 0)]], 0)
                client.ask(port, rows(port, "PutItem", 64), 0.5)
                for operation in arguments.operations:
                    for connections in CONNECTIONS:
                        requests = rows(port, operation, connections)
                        rate, latencies = client.ask(port, requests, arguments.seconds)
                        p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
                        results[operation, contender, connections].append((rate, p50, p99))
            print(f"round {round_number + 1}: {contender} done", file=sys.stderr)
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--operations", nargs="+", default=["PutItem", "GetItem"], choices=["PutItem", "GetItem"])
    parser.add_argument("--folder", default=None, help="where the data folders are made: the disk that is measured")
    arguments = parser.parse_args()
    results = measure(arguments)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("httptools", "uvloop", "granian", "uvicorn", "aiohttp", "apsw")
    )
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}; "
          f"median of {arguments.rounds} rounds of {arguments.seconds:g} s\n")  # fmt: skip
    for operation in arguments.operations:
        print(f"### {operation}\n")
        print(
            "| listener | connections | requests/s | of own | p50 ms | p99 ms |\n| --- | --: | --: | --: | --: | --: |"
        )
        for connections in CONNECTIONS:
            own = statistics.median(rate for rate, _, _ in results[operation, "own", connections])
            for contender in CONTENDERS:
                rate, p50, p99 = (
                    statistics.median(column)
                    for column in zip(*results[operation, contender, connections], strict=True)
                )
                print(f"| {contender} | {connections} | {rate:,.0f} | {rate / own:.2f} | {p50:.2f} | {p99:.2f} |")
        print()


if __name__ == "__main__":
    main()
