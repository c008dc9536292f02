"""What functions print: a file for each in the data folder, rotated by size, and the flow log at debug."""

import logging
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger("duestream.functions")

#: A file that grew beyond this becomes NAME.log.1, which replaces the one before.
MAX_LOG_BYTES = 5 * 1024 * 1024


class FunctionLog:
    """The log of one function. A disk that refuses it does not stop the function."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = path.stem
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, text: bytes) -> None:
        """Append; `text` is whole lines, or parts of one."""
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file = self.path.open("ab", buffering=0)
                self._size = self._file.tell()
            self._file.write(text)
            self._size += len(text)
            if self._size > MAX_LOG_BYTES:
                self.close()
                self.path.replace(self.path.with_suffix(".log.1"))
        except OSError as error:
            facts = {"action": "write_function_log", "function": self._name, "reason": error.strerror or str(error)}
            logger.warning("a function's log was not written", extra=facts)
        if logger.isEnabledFor(logging.DEBUG):
            facts = {"action": "function_output", "function": self._name}
            logger.debug("%s", text.decode("utf-8", "replace").rstrip("\n"), extra=facts)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
