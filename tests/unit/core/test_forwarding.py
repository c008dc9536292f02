import pytest

from duestream.core.forwarding import AWS, MOTO, Forwarding, parse_forwarding
from duestream.errors import SettingsError


def test_moto_is_used_where_it_is_installed_and_nothing_else_was_said() -> None:
    assert parse_forwarding([], has_moto=True) == Forwarding(MOTO)
    assert parse_forwarding([], has_moto=False) == Forwarding(None)
    assert parse_forwarding(["none"], has_moto=True) == Forwarding(None)


def test_single_services_have_endpoints_of_their_own() -> None:
    options = ["sns=http://127.0.0.1:4566", "SFN=aws", "http://[::1]:5000/base"]
    assert parse_forwarding(options, has_moto=True) == Forwarding(
        "http://[::1]:5000/base", {"sns": "http://127.0.0.1:4566", "sfn": AWS}
    )


@pytest.mark.parametrize(
    "option",
    [
        "",
        "sns",
        "sns=",
        "ftp://host",
        "http://",
        "http://host:0",
        "http://host:port",
        "http://user@host",
        "http://h/?a=b",
    ],
)
def test_what_names_no_endpoint_is_refused(option: str) -> None:
    with pytest.raises(SettingsError, match="names no endpoint"):
        parse_forwarding([option], has_moto=True)


def test_moto_must_be_there_to_be_named() -> None:
    with pytest.raises(SettingsError, match=r"duestream\[moto\]"):
        parse_forwarding(["sns=moto"], has_moto=False)


@pytest.mark.parametrize("options", [("aws", "http://a"), ("sns=aws", "sns=http://a")])
def test_two_endpoints_for_one_service_are_a_mistake(options: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="already"):
        parse_forwarding(options, has_moto=False)
