"""Several reads as of one moment."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Let all reads of the block see the same commits. A COMMIT is carried out in a thread, so that without this
    it may come between any two of them.

    The block must not wait for anything: the connection is shared by all that reads on the loop.
    """
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")
