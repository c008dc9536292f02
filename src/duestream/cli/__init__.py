"""The command line. `main` is what `duestream` runs."""

from duestream.cli.entry import main

__all__ = ["main"]
