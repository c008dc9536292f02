"""Other local servers under the same client: PutItem only, as they come from their registries."""

import os
import shutil
import socket
import subprocess
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import TABLE, Load, ask, write
from report import Cell, Table
from server import HOST, wait_for

from duestream.clock import SystemClock
from measures import writes
from measures.plan import HOUR_MS, Plan

CONNECTIONS = 16
CREATE_TABLE = (
    '{"TableName": "Appointment-Table", "BillingMode": "PAY_PER_REQUEST", '
    '"KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}], '
    '"AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}, {"AttributeName": "SK", "AttributeType": "S"}]'
)
STREAM = ', "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}'


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: what installs it and what starts it; `{bin}` and `{port}` are filled in."""

    name: str
    requirement: str
    command: tuple[str, ...]
    registry: str = "pypi"
    has_streams: bool = True
    promises: str = "in memory, no rule watching"


PEERS = (
    Peer("moto server", "moto[server]", ("{bin}/moto_server", "-H", HOST, "-p", "{port}")),
    Peer("ministack", "ministack", ("{bin}/ministack",)),
    Peer(
        "dynalite",
        "dynalite",
        ("{bin}/dynalite", "--host", HOST, "--port", "{port}", "--createTableMs", "0"),
        registry="npm",
        has_streams=False,
        promises="in memory, without streams",
    ),
)


def measure(plan: Plan) -> list[Table]:
    """Each in an environment of its own that is thrown away; one that does not install or start is said so."""
    table = Table(f"PutItem/s of local servers, {CONNECTIONS} connections", ("server", "PutItem/s", "of ours", "keeps"))
    ours = writes.per_second(plan, CONNECTIONS)
    table.rows.append(("duestream", ours, 1.0, "item and stream record synced to disk, a rule watching"))
    for peer in PEERS:
        try:
            version, rate = _measure_peer(plan, peer)
        except (RuntimeError, OSError, subprocess.SubprocessError, TimeoutError) as error:
            row: tuple[Cell, ...] = (peer.name, None, None, f"not measured: {error}".splitlines()[0][:200])
        else:
            row = (f"{peer.name} {version}", rate, rate / ours, peer.promises)
        table.rows.append(row)
    return [table]


def _measure_peer(plan: Plan, peer: Peer) -> tuple[str, float]:
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        binaries, version = _install(peer, Path(name), plan.install_seconds)
        with _serving(peer, binaries, Path(name)) as port:
            _create_table(port, peer)
            load = Load(
                port=port,
                connections=CONNECTIONS,
                seconds=plan.warm_seconds,
                due_at_ms=SystemClock().now_ms() + HOUR_MS,
                due_steps=3600,
                due_step_ms=1000,
                reconnects=True,
            )
            write(load)
            load.first, load.seconds = 1_000_000, plan.write_seconds
            return version, write(load).per_second


def _install(peer: Peer, folder: Path, timeout_seconds: float) -> tuple[Path, str]:
    """Where its commands are, and which version came."""
    if peer.registry == "npm":
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("there is no npm here")
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), peer.requirement]
        subprocess.run(command, check=True, capture_output=True, timeout=timeout_seconds)
        listed = [npm, "view", "--prefix", str(folder), peer.requirement, "version"]
        version = subprocess.run(listed, check=True, capture_output=True, text=True, timeout=timeout_seconds).stdout
        return folder / "node_modules" / ".bin", version.strip()
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / "bin"
    install = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, peer.requirement], check=True, capture_output=True, timeout=timeout_seconds)
    ask = f"from importlib.metadata import version; print(version({peer.requirement.partition('[')[0]!r}))"
    version = subprocess.run([str(binaries / "python"), "-c", ask], check=True, capture_output=True, text=True).stdout
    return binaries, version.strip()


@contextmanager
def _serving(peer: Peer, binaries: Path, folder: Path) -> Iterator[int]:
    """The peer's port, once it listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    command = [part.format(bin=binaries, port=port) for part in peer.command]
    environ = {**os.environ, "GATEWAY_PORT": str(port), "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    with (folder / "peer.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, cwd=folder, start_new_session=True)
    try:
        wait_for(lambda: _listens(port), 30, "it does not listen after 30 s", every_seconds=0.2)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _create_table(port: int, peer: Peer) -> None:
    body = f"{CREATE_TABLE}{STREAM if peer.has_streams else ''}}}"
    if TABLE.encode() not in ask(port, "DynamoDB_20120810.CreateTable", body):
        raise RuntimeError("CreateTable did not answer with the table")
