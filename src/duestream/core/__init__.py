"""What duestream decides, as plain functions of their arguments. Standard library only; no I/O, no clock."""
