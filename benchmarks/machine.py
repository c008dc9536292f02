"""What the numbers were measured on: without it they mean little."""

import os
import platform
import tempfile
from datetime import UTC
from importlib import metadata
from pathlib import Path
from time import perf_counter

import apsw
from report import percentile

from duestream.clock import SystemClock
from duestream.version import __version__

FSYNC_BYTES = 4096
FSYNCS = 200


def facts(folder: Path | None) -> dict[str, object]:
    """Cores, versions, how busy the machine is, and what an fsync costs where the data folders are made."""
    return {
        "date": f"{SystemClock().now().astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "duestream": __version__,
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory": _memory(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": apsw.sqlite_lib_version(),
        "uvloop": metadata.version("uvloop"),
        "httptools": metadata.version("httptools"),
        "fsync p50 ms": round(fsync_ms(folder), 3),
        "load average at the start": round(os.getloadavg()[0], 2),
    }


def sentence(known: dict[str, object]) -> str:
    """The facts as a line for the documentation."""
    return "; ".join(f"{name}: {value}" for name, value in known.items())


def fsync_ms(folder: Path | None) -> float:
    """The median time, in milliseconds, of appending 4 KiB to a file and syncing it."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            begun = perf_counter()
            os.write(file.fileno(), bytes(FSYNC_BYTES))
            os.fdatasync(file.fileno())
            took.append((perf_counter() - begun) * 1000)
    return percentile(took, 0.5)


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / 1024**2:.0f} GiB"
    return "unknown"


def _lines(path: str) -> list[str]:
    found = Path(path)
    return found.read_text().splitlines() if found.exists() else []
