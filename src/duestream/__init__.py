"""Actions that follow your data, on time."""
