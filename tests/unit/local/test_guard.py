"""Whose names are ours."""

from pathlib import Path

import pytest

from duestream.errors import SettingsError
from duestream.local.guard import AccessDeniedException, Guard, is_loopback
from duestream.local.server import Settings
from duestream.local.wire.http import HttpRequest


def request(**headers: str) -> HttpRequest:
    return HttpRequest("GET", "/", "", {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    "host",
    ["localhost:8787", "127.0.0.1:8787", "[::1]:8787", "localhost", "LOCALHOST:8787", "a.localhost:8787", "localhost."],
)
def test_local_names_are_ours(host: str) -> None:
    assert Guard("127.0.0.1", 8787, (), has_credentials=False).is_ours(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost:80", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1:8787", "a b", "x" * 9999,
     "localhost:8787:8787", "localhost@example.com", "notlocalhost:8787"],
)  # fmt: skip
def test_other_names_are_not(host: str) -> None:
    assert not Guard("127.0.0.1", 8787, (), has_credentials=False).is_ours(host)


def test_allowed_names_are_ours() -> None:
    guard = Guard("127.0.0.1", 8787, ("duestream", "ci.example:80", "*.test"), has_credentials=False)
    for host in ("duestream", "duestream:1234", "ci.example:80", "a.test", "a.b.test:9"):
        assert guard.is_ours(host), host
    for host in ("ci.example", "ci.example:81", "test", "x.duestream"):
        assert not guard.is_ours(host), host


def test_bound_to_every_address_addresses_are_ours_if_requests_are_signed() -> None:
    assert Guard("0.0.0.0", 8787, (), has_credentials=True).is_ours("10.0.0.1:8787")
    assert not Guard("0.0.0.0", 8787, (), has_credentials=False).is_ours("10.0.0.1:8787")
    assert not Guard("0.0.0.0", 8787, (), has_credentials=True).is_ours("evil.example:8787")
    assert Guard("10.0.0.1", 8787, (), has_credentials=True).is_ours("10.0.0.1:8787")


def test_a_visit_from_another_site_may_see_a_page_but_not_carry_out_an_operation() -> None:
    guard = Guard("127.0.0.1", 8787, (), has_credentials=False)
    visit = {"host": "localhost:8787", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    guard.check(HttpRequest("GET", "/", "", visit, b""))
    guard.check(request(host="localhost:8787", origin="http://localhost:8787", sec_fetch_site="same-origin"))
    for method, query in (("POST", ""), ("GET", "Action=DeleteQueue")):
        with pytest.raises(AccessDeniedException):
            guard.check(HttpRequest(method, "/", query, visit, b""))
    with pytest.raises(AccessDeniedException):
        guard.check(request(host="localhost:8787", origin="http://localhost:3000"))


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.1", False), ("example.com", False)])  # fmt: skip
def test_only_loopback_may_be_bound_without_credentials(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    if loopback:
        Settings(data=Path("unused"), host=host)
    else:
        with pytest.raises(SettingsError, match="Give credentials"):
            Settings(data=Path("unused"), host=host)
        settings = Settings(data=Path("unused"), host=host, credentials={"AKIDEXAMPLE": "a secret"})
        assert "a secret" not in repr(settings)
