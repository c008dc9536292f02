"""Fixtures and settings for every kind of test."""

from hypothesis import settings

# No test depends on speed: an example may take as long as the machine takes.
settings.register_profile("duestream", deadline=None, print_blob=True)
settings.load_profile("duestream")
