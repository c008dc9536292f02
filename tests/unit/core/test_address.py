import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.address import InvalidParameterValue, parse_address, split_addresses


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("ann@example.com", "", "ann@example.com"),
        ("  ann@example.com ", "", "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Ann Lee <ann@example.com>", "Ann Lee", "ann@example.com"),
        ('"Lee, Ann" <ann@example.com>', "Lee, Ann", "ann@example.com"),
        (r'"Ann \"Annie\" Lee" <ann@example.com>', 'Ann "Annie" Lee', "ann@example.com"),
        ("Dr. Lee <ann@example.com>", "Dr. Lee", "ann@example.com"),
        ("Zoë <zoe@example.com>", "Zoë", "zoe@example.com"),
        ('"a<b" <ann@example.com>', "a<b", "ann@example.com"),
        ("ann@example.com <ann@example.com>", "ann@example.com", "ann@example.com"),
        ("ann+tag@mail.example.com", "", "ann+tag@mail.example.com"),
        ("o'neil=x@example.com", "", "o'neil=x@example.com"),
        ('"ann lee"@example.com', "", '"ann lee"@example.com'),
        ('"ann@home"@example.com', "", '"ann@home"@example.com'),
        ("ann@[192.0.2.1]", "", "ann@[192.0.2.1]"),
        ("ann@bücher.example", "", "ann@xn--bcher-kva.example"),
        ("ann@日本.example", "", "ann@xn--wgv71a.example"),
    ],
)
def test_addresses_are_read_with_and_without_a_name(text: str, name: str, spec: str) -> None:
    address = parse_address(text)
    assert (address.name, address.spec) == (name, spec)
    assert address.text == text.strip()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Missing final '@domain'"),
        ("ann", "Missing final '@domain'"),
        ("@example.com", "Missing local name"),
        ("ann@", "Missing domain"),
        ("Ann <ann>", "Missing final '@domain'"),
        ("Lee, Ann <ann@example.com>", "Illegal address"),
        ("ann@example.com,bob@example.com", "Illegal address"),
        ("ann@example.com, bob@example.com", "Domain contains control or whitespace"),
        ("Ann ann@example.com>", "Illegal address"),
        ("Ann <ann@example.com", "Illegal address"),
        ("Ann <ann@example.com> x", "Illegal address"),
        ('"Ann <ann@example.com>', "Illegal address"),
        ("ann lee@example.com", "Local address contains control or whitespace"),
        ("Ann <ann @example.com>", "Local address contains control or whitespace"),
        ("ann✖@example.com", "Local address contains control or whitespace"),
        ("github:ann@example.com", "Local address contains illegal character"),
        (".ann@example.com", "Local address starts with dot"),
        ("ann.@example.com", "Local address ends with dot"),
        ("a..b@example.com", "Local address contains dot-dot"),
        ("ann@.example.com", "Domain starts with dot"),
        ("ann@example.com.", "Domain ends with dot"),
        ("ann@example..com", "Domain contains dot-dot"),
        ("ann@exam_ple.com", "Domain contains illegal character"),
        ("ann@example.com%!", "Domain contains illegal character"),
        ("ann@exam ple.com", "Domain contains control or whitespace"),
        ("ann@b@example.com", "Domain contains illegal character"),
        ("ann\n@example.com", "Local address contains control or whitespace"),
        ("ann@example.com\r\nBcc: eve@example.com", "Domain contains control or whitespace"),
        ("Ann\r\nBcc: eve@example.com <ann@example.com>", "Local address contains control or whitespace"),
        ("a" * 320 + "@example.com", "Illegal address"),
    ],
)
def test_what_is_no_address_is_refused_with_the_text_of_ses(text: str, problem: str) -> None:
    with pytest.raises(InvalidParameterValue) as caught:
        parse_address(text)
    assert caught.value.message == problem


@given(st.text())
def test_an_address_is_read_or_refused_and_never_keeps_a_control_character(text: str) -> None:
    for candidate in (text, f"{text}@example.com", f"ann@{text}", f"{text} <ann@example.com>", f"<{text}>"):
        try:
            address = parse_address(candidate)
        except InvalidParameterValue:
            continue
        assert address.spec.isascii()
        assert not any(character < " " for character in address.spec + address.name)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a@example.com", ["a@example.com"]),
        ("a@example.com, B <b@example.com>", ["a@example.com", "B <b@example.com>"]),
        ('"Lee, Ann" <a@example.com>,, b@example.com', ['"Lee, Ann" <a@example.com>', "b@example.com"]),
        (r'"a\", b" <a@example.com>, c@example.com', [r'"a\", b" <a@example.com>', "c@example.com"]),
        ("undisclosed-recipients:;", []),
        ("Friends: a@example.com, b@example.com;", ["a@example.com", "b@example.com"]),
    ],
)
def test_lists_of_addresses_are_cut_where_one_ends(text: str, parts: list[str]) -> None:
    assert split_addresses(text) == parts
