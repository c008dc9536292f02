"""The servers that are compared: where each comes from, how it is started, and what it promises."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1] / "peers"))
sys.path.insert(1, str(Path(__file__).parents[1]))

from contenders import INSTALL_SECONDS, make_venv
from load import ask
from operations import CREATE_TABLE, STREAM, TABLE
from server import HOST, NO_RULES, wait_for
from sites import family, free_port, listens, memory_mib

START_SECONDS = 60
BESIDE = Path(sys.executable).parent
#: An environment for packages that another botocore than ours goes with.
OTHERS = BESIDE.parent / "others" / "bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One server.

    Args:
        requirement: what its registry installs; None: it is this package.
        command: `{bin}`, `{port}`, `{folder}` and `{rules}` are filled in.
        keeps: what is kept of an acknowledged write, by its documentation.
    """

    name: str
    keeps: str
    command: tuple[str, ...]
    requirement: str | None = None
    registry: str = "pypi"
    has_streams: bool = True
    environ: dict[str, str] = field(default_factory=dict)


_DYNALITE = ("{bin}/dynalite", "--host", HOST, "--port", "{port}", "--createTableMs", "0", "--deleteTableMs", "0")

CONTENDERS = (
    Contender(
        name="duestream",
        keeps="synced to disk",
        command=("{bin}/duestream", "up", "{rules}", "--port", "{port}", "--data", "{folder}/data"),
    ),
    Contender(
        name="moto",
        keeps="in memory",
        command=("{bin}/moto_server", "-H", HOST, "-p", "{port}"),
        requirement="moto[server]==5.2.5",
    ),
    Contender(
        name="ministack",
        keeps="in memory",
        command=("{bin}/ministack",),
        requirement="ministack==1.5.33",
    ),
    Contender(
        name="dynalite",
        keeps="in memory",
        command=_DYNALITE,
        requirement="dynalite@4.0.0",
        registry="npm",
        has_streams=False,
    ),
    Contender(
        name="dynalite-disk",
        keeps="in LevelDB, not synced",
        command=(*_DYNALITE, "--path", "{folder}/data"),
        requirement="dynalite@4.0.0",
        registry="npm",
        has_streams=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Installed:
    """Where a contender's commands are, and which version they are."""

    contender: Contender
    binaries: Path
    version: str


def install(contender: Contender, cache: Path) -> Installed:
    """Find the contender where this Python is or in `cache`, or else install it into `cache`, pinned.

    Raises:
        RuntimeError, OSError, subprocess.SubprocessError: it cannot be had here.
    """
    requirement, program = contender.requirement, Path(contender.command[0]).name
    if requirement is None:
        return Installed(contender, BESIDE, metadata.version(contender.name))
    if contender.registry == "npm":
        return _install_npm(contender, requirement, program, cache)
    name = requirement.partition("==")[0].partition("[")[0]
    for binaries in (BESIDE, OTHERS, cache / name / "bin"):
        if (binaries / program).exists():
            return Installed(contender, binaries, _version(binaries, name))
    binaries = make_venv(cache / name, (requirement,))
    return Installed(contender, binaries, _version(binaries, name))


def _install_npm(contender: Contender, requirement: str, program: str, cache: Path) -> Installed:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("there is no npm here")
    name, _, version = requirement.partition("@")
    folder = cache / name
    binaries = folder / "node_modules" / ".bin"
    if not (binaries / program).exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), requirement]
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS, cwd=folder)
    return Installed(contender, binaries, version)


def _version(binaries: Path, name: str) -> str:
    asked = f"from importlib.metadata import version; print(version({name!r}))"
    # Beside the link, not what it leads to: that is how an environment's Python knows its packages.
    command = [str(binaries / "python"), "-c", asked]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Server:
    """A contender that runs, on a folder of its own."""

    def __init__(self, installed: Installed, folder: Path) -> None:
        self._installed, self._folder = installed, folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, also again, and wait until it listens.

        Raises:
            TimeoutError: it does not.
        """
        contender, binaries = self._installed.contender, self._installed.binaries
        parts = {"bin": binaries, "port": self.port, "folder": self._folder, "rules": NO_RULES}
        environ = {**os.environ, "GATEWAY_PORT": str(self.port), **contender.environ}
        environ["PATH"] = f"{binaries}{os.pathsep}{environ['PATH']}"
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [part.format(**parts) for part in contender.command],
                stdout=log,
                stderr=log,
                env=environ,
                cwd=self._folder,
            )
        wait_for(lambda: listens(self.port), START_SECONDS, f"{contender.name} does not listen", every_seconds=0.1)

    def kill(self) -> None:
        """SIGKILL, to its descendants too. Safe to repeat."""
        if self._process is None:
            return
        for pid in reversed(family(self._process.pid)):
            if pid != self._process.pid:
                os.kill(pid, 9)
        self._process.kill()
        self._process.wait()
        self._process = None

    def memory_mib(self) -> float:
        """Resident memory of all its processes; what they share counts once."""
        assert self._process is not None
        return memory_mib(family(self._process.pid))

    def create_table(self, *, with_stream: bool) -> None:
        """Make the table, and wait until it can be written to.

        Raises:
            RuntimeError, TimeoutError: it cannot.
        """
        body = CREATE_TABLE | (STREAM if with_stream else {})
        ask(self.port, "DynamoDB_20120810.CreateTable", json.dumps(body))
        wait_for(self.has_table, START_SECONDS, "the table does not become ACTIVE", every_seconds=0.1)

    def has_table(self) -> bool:
        """Whether the table is there to be used."""
        try:
            said = ask(self.port, "DynamoDB_20120810.DescribeTable", json.dumps({"TableName": TABLE}))
        except RuntimeError:
            return False
        return bool(json.loads(said)["Table"]["TableStatus"] == "ACTIVE")


@contextmanager
def running(installed: Installed, folder: Path) -> Iterator[Server]:
    """The server on a fresh folder, killed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(installed, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def names() -> Sequence[str]:
    """What `--only` takes."""
    return [one.name for one in CONTENDERS]
