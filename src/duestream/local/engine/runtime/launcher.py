"""Started in place of a function's runtime: ties the process to the server's life, limits it, and becomes the runtime.

Arguments: process id of the server, most bytes of data (0: no limit), and the runtime's command.
"""

import contextlib
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the server has ended, however that came (Linux)."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, OSError):
        import ctypes  # noqa: PLC0415 - not every Python has it

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it had ended before
        os._exit(1)


def limit_data(most_bytes: int) -> None:
    """Let allocations beyond this fail."""
    if most_bytes > 0:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def main(arguments: list[str]) -> None:
    """Become the runtime."""
    parent, most_bytes, *command = arguments
    die_with(int(parent))
    limit_data(int(most_bytes))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(command[0], command)  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
