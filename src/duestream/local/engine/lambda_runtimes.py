"""Which runtimes of Lambda this machine can run, and with which command."""

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from duestream.local.store.function_errors import InvalidParameterValueException
from duestream.local.store.functions import Function

logger = logging.getLogger(__name__)

RUNTIME_FOLDER = Path(__file__).parent / "runtime"
#: What the runtime itself takes, beside what the function is allowed.
PYTHON_OWN_MB = 96
_PYTHON = re.compile(r"python(3\.\d+)").fullmatch
_NODE = re.compile(r"nodejs(1[89]|[2-9]\d)\.x").fullmatch
_OWN = frozenset({"provided.al2", "provided.al2023"})


class Runtimes:
    """Finds the programs that run functions. Looks once for each."""

    def __init__(self) -> None:
        self._found: dict[str, str | None] = {}

    def check(self, runtime: str) -> None:
        """See whether functions of this runtime can be run.

        Raises:
            InvalidParameterValueException: they cannot, and why.
        """
        if _NODE(runtime):
            self._node()
        elif not _PYTHON(runtime) and runtime not in _OWN:
            raise InvalidParameterValueException(
                f"This version of duestream does not run functions of the runtime {runtime}. "
                "It runs python3.x, nodejs18.x and later, provided.al2 and provided.al2023."
            )

    def command(self, function: Function, folder: Path) -> list[str]:
        """The command that becomes the function's process.

        Raises:
            InvalidParameterValueException: as for `check`.
        """
        runtime = function.runtime
        self.check(runtime)
        limit_bytes = 0
        if python := _PYTHON(runtime):
            paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
            command = [self._python(python[1]), str(RUNTIME_FOLDER / "python_bootstrap.py"), *paths]
            limit_bytes = (function.memory_mb + PYTHON_OWN_MB) * 1024 * 1024
        elif _NODE(runtime):
            heap = f"--max-old-space-size={function.memory_mb}"
            command = [self._node(), heap, str(RUNTIME_FOLDER / "node_bootstrap.mjs")]
        else:
            command = [str(folder / "bootstrap")]
        launcher = [sys.executable, "-I", "-S", str(RUNTIME_FOLDER / "launcher.py")]
        return [*launcher, str(os.getpid()), str(limit_bytes), *command]

    def _python(self, version: str) -> str:
        """That Python where it is installed, and the server's own where it is not."""
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            return sys.executable
        found = self._look_up(f"python{version}")
        if found is not None:
            return found
        logger.warning(
            "no Python of the function's version on this machine: the server's own runs it",
            extra={"action": "start_function", "wanted": version, "used": sys.version.partition(" ")[0]},
        )
        return sys.executable

    def _node(self) -> str:
        found = self._look_up("node")
        if found is None:
            raise InvalidParameterValueException(
                "There is no `node` on the server's PATH, so functions of Node.js cannot be run. "
                "Install Node.js 18 or later, and start the server again."
            )
        return found

    def _look_up(self, program: str) -> str | None:
        """The program's own path, if it runs. A version manager's stand-in is asked what stands behind it."""
        if program not in self._found:
            path = shutil.which(program)
            self._found[program] = None if path is None else _own_path(path)
        return self._found[program]


def _own_path(path: str) -> str | None:
    question = ["-p", "process.execPath"] if path.endswith("node") else ["-c", "import sys; print(sys.executable)"]
    try:
        asked = subprocess.run([path, *question], capture_output=True, timeout=20, check=False, text=True)  # noqa: S603 - found on the PATH
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None
