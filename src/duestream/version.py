"""The version of this package, in one place for the build, the CLI and the answers of the server."""

__version__ = "0.1.0"
