"""Who is compared: what installs it for the occasion, what else it needs, and what it promises."""

import os
import pwd
import shutil
import subprocess
import sys
import venv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server import wait_for
from sites import AGENTS, START_SECONDS, DuestreamSite, MinistackSite, Site, free_port, listens

from duestream.version import __version__

INSTALL_SECONDS = 120
#: What Debian's redis-server needs beside the C library and OpenSSL.
REDIS_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1")


class Contender(ABC):
    """One of those compared."""

    name: str
    promises: str
    #: Its API takes due times in whole seconds only.
    has_whole_seconds = False
    #: Has a call that makes many jobs.
    has_bulk = False
    #: Connections or threads with which many are made soonest.
    fill_at_once = 16
    #: Stalled jobs are taken up again after so long, at most; what is not there by then is lost.
    recovery_seconds = 8.0

    @abstractmethod
    def install(self, folder: Path) -> str:
        """Install it below `folder`; answers its version, and that of the server that it needs.

        Raises:
            RuntimeError, OSError, subprocess.SubprocessError: it cannot be had here.
        """

    @abstractmethod
    def open(self, folder: Path) -> Iterator[Site]:
        """A fresh store in `folder`; what was started ends when the generator is closed."""

    @contextmanager
    def site(self, folder: Path) -> Iterator[Site]:
        """`open`, for a `with`."""
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        yield from self.open(folder)


class Duestream(Contender):
    """Ours."""

    def __init__(self, name: str, *, by_rules: bool) -> None:
        self.name, self._by_rules = name, by_rules
        self.has_whole_seconds, self.fill_at_once = not by_rules, 64
        self.promises = "created: synced; delivered into its queue exactly once; the consumer receives at least once"

    def install(self, folder: Path) -> str:
        return __version__

    def open(self, folder: Path) -> Iterator[Site]:
        site = DuestreamSite(folder, by_rules=self._by_rules)
        try:
            yield site
        finally:
            site.close()


class PythonPeer(Contender):
    """A Python library that carries jobs out in its own process."""

    def __init__(self, name: str, requirements: tuple[str, ...], agent: str, promises: str) -> None:
        self.name, self.promises = name, promises
        self._requirements, self._agent = requirements, agent

    def install(self, folder: Path) -> str:
        self._bin = make_venv(folder / "venv", self._requirements)
        return self._requirements[0].partition("==")[2]

    def _command(self) -> list[str]:
        return [str(self._bin / "python"), str(AGENTS / self._agent)]

    def open(self, folder: Path) -> Iterator[Site]:
        site = Site(folder, self._command(), {})
        try:
            yield site
        finally:
            site.close()


class Pgqueuer(PythonPeer):
    """With a PostgreSQL of its own for each store."""

    has_bulk = True
    recovery_seconds = 20.0

    def install(self, folder: Path) -> str:
        self._postgres = find_postgres()
        said = subprocess.run([self._postgres / "postgres", "--version"], capture_output=True, text=True, check=True)
        return f"{super().install(folder)}, PostgreSQL {said.stdout.split()[2]}"

    def open(self, folder: Path) -> Iterator[Site]:
        port, data = free_port(), folder / "postgres"
        user = _lesser_user()
        data.mkdir(mode=0o700)
        if user is not None:
            os.chown(data, user.pw_uid, user.pw_gid)
        who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        make = [self._postgres / "initdb", "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8", "--no-locale"]
        subprocess.run(make, check=True, capture_output=True, timeout=INSTALL_SECONDS, cwd="/", **who)  # type: ignore[call-overload]
        command = [
            self._postgres / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            data,
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        with (folder / "postgres.log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **who)  # type: ignore[call-overload]
        site = None
        try:
            wait_for(lambda: listens(port), START_SECONDS, "PostgreSQL does not listen", every_seconds=0.1)
            site = Site(folder, self._command(), {"dsn": f"postgresql://bench@127.0.0.1:{port}/postgres"})
            site.services.append(server.pid)
            yield site
        finally:
            if site is not None:
                site.close()
            end(server)


class BullMQ(Contender):
    """With a Redis of its own for each store."""

    name = "BullMQ"
    promises = "created: synced once a second; at least once"
    has_bulk = True
    recovery_seconds = 20.0

    def __init__(self, version: str, client: str) -> None:
        self._version, self._client = version, client

    def install(self, folder: Path) -> str:
        npm, node = shutil.which("npm"), shutil.which("node")
        if npm is None or node is None:
            raise RuntimeError("there is no Node.js here")
        self._node, self._modules = node, folder
        folder.mkdir(parents=True, exist_ok=True)
        wanted = (f"bullmq@{self._version}", self._client)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted]
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS, cwd=folder)
        self._redis, self._environ = find_redis(folder / "redis")
        said = subprocess.run([self._redis, "--version"], capture_output=True, text=True, env=self._environ, check=True)
        return f"{self._version}, Redis {said.stdout.partition('v=')[2].partition(' ')[0]}"

    def open(self, folder: Path) -> Iterator[Site]:
        port = free_port()
        command = [self._redis, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        with (folder / "redis.log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env=self._environ)
        site = None
        try:
            wait_for(lambda: listens(port), START_SECONDS, "Redis does not listen", every_seconds=0.1)
            agent = [self._node, str(AGENTS / "bullmq_agent.mjs")]
            site = Site(folder, agent, {"port": port, "modules": str(self._modules)})
            site.services.append(server.pid)
            yield site
        finally:
            if site is not None:
                site.close()
            end(server)


class Ministack(Contender):
    """The same API in another local AWS."""

    name = "ministack"
    promises = "in memory; due schedules are looked for every 10 s"
    has_whole_seconds = True
    recovery_seconds = 15.0

    def __init__(self, version: str) -> None:
        self._version = version

    def install(self, folder: Path) -> str:
        self._command = make_venv(folder / "venv", (f"ministack=={self._version}",)) / "ministack"
        return self._version

    def open(self, folder: Path) -> Iterator[Site]:
        site = MinistackSite(folder, self._command)
        try:
            yield site
        finally:
            site.close()


OURS = Duestream("duestream", by_rules=False)
CONTENDERS: tuple[Contender, ...] = (
    OURS,
    Duestream("duestream-rules", by_rules=True),
    Ministack("1.5.33"),
    PythonPeer(
        "APScheduler",
        ("apscheduler==3.11.3", "sqlalchemy==2.1.9"),
        "apscheduler_agent.py",
        "created: synced; a job runs in the scheduler's own process and is removed when it is handed to a thread",
    ),
    PythonPeer(
        "huey",
        ("huey==3.5.4",),
        "huey_agent.py",
        "created: synced; at most once: a job is removed before it runs",
    ),
    Pgqueuer(
        "pgqueuer",
        ("pgqueuer==1.6.0", "asyncpg==0.32.0"),
        "pgqueuer_agent.py",
        "created: synced; at least once: a stalled job is taken up again",
    ),
    BullMQ("6.7.0", "ioredis@6.0.0"),
)


def make_venv(folder: Path, requirements: tuple[str, ...]) -> Path:
    """Where its commands are."""
    venv.create(folder, with_pip=True)
    binaries = folder / "bin"
    command = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=INSTALL_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"pip: {done.stderr.strip().splitlines()[-1]}")
    return binaries


def find_postgres() -> Path:
    """The folder of PostgreSQL's programs.

    Raises:
        RuntimeError: there is none.
    """
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("there is no PostgreSQL here (Debian: apt-get install postgresql)")
    return Path(found).resolve().parent


def find_redis(folder: Path) -> tuple[str, dict[str, str]]:
    """redis-server and its environment: this machine's, or else Debian's package, unpacked and not installed.

    Raises:
        RuntimeError: there is neither.
    """
    found = shutil.which("redis-server")
    if found is not None:
        return found, dict(os.environ)
    if shutil.which("apt-get") is None:
        raise RuntimeError("there is no redis-server here")
    folder.mkdir()
    subprocess.run(
        ["apt-get", "download", *REDIS_PACKAGES], cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS
    )
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True, capture_output=True)
    libraries = next(folder.glob("usr/lib/*/libjemalloc.so.2")).parent
    return str(folder / "usr/bin/redis-server"), {**os.environ, "LD_LIBRARY_PATH": str(libraries)}


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C; SIGKILL if that is not heard."""
    process.send_signal(2)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _lesser_user() -> pwd.struct_passwd | None:
    """Who runs PostgreSQL, which root may not; None: whoever we are."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("root cannot run PostgreSQL, and there is no user postgres or nobody")
