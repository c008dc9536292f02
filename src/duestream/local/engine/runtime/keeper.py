"""One for a server: ends the process groups of its functions when it has ended, however that came.

It is told of them on standard input, a line each: ``+123`` when one begins, ``-123`` when it is gone. The end of the
input is the server's end. What a function started would otherwise outlive a server that was killed.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def keep(lines: Iterable[str]) -> set[int]:
    """Read to the end; answers the groups that are left."""
    groups: set[int] = set()
    for line in lines:
        change, group = groups.add if line.startswith("+") else groups.discard, int(line[1:])
        change(group)
    return groups


if __name__ == "__main__":
    for left in keep(sys.stdin):
        with contextlib.suppress(OSError):
            os.killpg(left, signal.SIGKILL)
