"""Who may knock: requests that a web page sent behind its reader's back are refused before anything is read.

A page of another site can make a browser send requests to 127.0.0.1, under its own name after a DNS rebinding, or
under ours. The Host header tells the first, Origin and Sec-Fetch-Site the second.
"""

import ipaddress
import re
from collections.abc import Collection

from duestream.errors import ServiceError
from duestream.local.wire.http import HttpRequest

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
#: Hosts that were found to be ours are remembered; so many at the most, as the client chooses them.
_MAX_REMEMBERED = 256


class AccessDeniedException(ServiceError):
    """The request did not come from where requests may come from."""

    status = 403


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Knows our names."""

    def __init__(self, host: str, port: int, allowed_hosts: Collection[str], *, has_credentials: bool) -> None:
        """`allowed_hosts` are further names: ``name`` (any port), ``name:port``, or ``*.name`` (any port)."""
        self._port = port
        self._names = _LOCAL_NAMES | ({host.strip("[]").lower()} if not _is_wildcard(host) else set())
        self._allowed = frozenset(allowed.lower() for allowed in allowed_hosts)
        #: Bound to every address, we do not know our names. An address cannot be rebound, and a signature is asked for.
        self._takes_addresses = has_credentials and _is_wildcard(host)
        self._remembered: set[str] = set()

    def check(self, request: HttpRequest) -> None:
        """Let a request in.

        Raises:
            AccessDeniedException: its Host or Origin is not ours; the text says what to do.
        """
        headers = request.headers
        host = headers.get("host", "")
        if host not in self._remembered:
            if not self.is_ours(host):
                raise AccessDeniedException(
                    f"The Host header {host[:200]!r} is not a name of this server's. Use http://localhost:{self._port}, "
                    "or start the server with this name among its allowed hosts."
                )
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered.add(host)
        origin = headers.get("origin")
        if origin is not None and not self._is_our_origin(origin):
            raise AccessDeniedException(f"Requests from pages of {origin[:200]!r} are refused.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_visit(request):
            raise AccessDeniedException("Requests from pages of other sites are refused.")

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names us."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name, port = found[1].strip("[]").lower().rstrip("."), found[2]
        if (name in self._names or name.endswith(".localhost")) and (port is None or int(port) == self._port):
            return True
        if name in self._allowed or f"{name}:{port}" in self._allowed:
            return True
        labels = name.split(".")
        if any("*." + ".".join(labels[start:]) in self._allowed for start in range(1, len(labels))):
            return True
        return self._takes_addresses and _is_address(name)

    def _is_our_origin(self, origin: str) -> bool:
        scheme, separator, host = origin.partition("://")
        return bool(separator) and scheme in ("http", "https") and self.is_ours(host)


def _is_visit(request: HttpRequest) -> bool:
    """Following a link to a page of ours is fine; an operation cannot be had that way."""
    return (
        request.method == "GET"
        and request.headers.get("sec-fetch-mode") == "navigate"
        and "Action=" not in request.query
    )


def _is_wildcard(host: str) -> bool:
    try:
        return host == "" or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
