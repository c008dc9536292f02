"""``python -m duestream.cli``: the same as ``duestream``, wherever the script is not on the PATH."""

from duestream.cli.entry import main

main()
