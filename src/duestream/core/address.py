"""Email addresses as SES reads them: ``ann@example.com``, ``Ann <ann@example.com>``, ``"Lee, Ann" <...>``.

SES refuses what it cannot read with the sentences of JavaMail's InternetAddress, which is what it runs on;
they were collected from public issue threads of its users ("Missing final '@domain'", "Illegal address",
"Local address contains control or whitespace", "Domain contains illegal character", "Missing local name").
"""

import re
from dataclasses import dataclass, field

from duestream.errors import ServiceError

#: SES's longest address, in characters (SES developer guide, "Service quotas").
MAX_ADDRESS_LENGTH = 320

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
#: A display name without quotes around it, in which parts may be quoted. A comma, a colon or a semicolon would
#: make it a list or a group.
_PHRASE = re.compile(r'(?:[^"<>,;:\\]|"(?:[^"\\]|\\.)*")*', re.DOTALL)
_ILLEGAL_IN_LOCAL = frozenset('()<>,;:\\"[]')
_DOMAIN_LITERAL = re.compile(r"\[[0-9A-Za-z.:]+\]")
_WHITESPACE_IN_LOCAL = "Local address contains control or whitespace"
_WHITESPACE_IN_DOMAIN = "Domain contains control or whitespace"


class InvalidParameterValue(ServiceError):
    """The email is not one that SES would take (v1's name of it). The text is SES's where that is known."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address. `domain` is ASCII (punycode where the sender wrote another script)."""

    local: str
    domain: str
    #: The display name, unquoted; empty: none.
    name: str = ""
    #: As the sender wrote it.
    text: str = field(default="", compare=False)

    @property
    def spec(self) -> str:
        """``local@domain``, as SMTP's envelope wants it."""
        return f"{self.local}@{self.domain}"


def parse_address(text: str) -> Address:
    """Read one address with or without a display name.

    Raises:
        InvalidParameterValue: with SES's text.
    """
    stripped = text.strip(" ")
    if not stripped:
        raise InvalidParameterValue("Missing final '@domain'")
    if len(stripped) > MAX_ADDRESS_LENGTH:
        raise InvalidParameterValue("Illegal address")
    _refuse_controls(stripped)
    name, spec = _split_name(stripped)
    at = _end_of_local(spec)
    return Address(local=spec[:at], domain=_domain_of(spec[at + 1 :]), name=name, text=stripped)


def split_addresses(text: str) -> list[str]:
    """The addresses of a header's value, cut at commas outside quotes, comments and angle brackets.

    Names of groups fall away (``undisclosed-recipients:;`` gives none).
    """
    parts: list[str] = []
    part, depth, in_quotes, escaped = "", 0, False, False
    for character in text:
        if escaped or character == "\\":
            escaped = not escaped
        elif character == '"':
            in_quotes = not in_quotes
        elif not in_quotes and character in "(<":
            depth += 1
        elif not in_quotes and character in ")>":
            depth = max(depth - 1, 0)
        elif not in_quotes and depth == 0 and character in ",;:":
            if character != ":":
                parts.append(part)
            part = ""
            continue
        part += character
    return [found.strip() for found in (*parts, part) if found.strip()]


def _refuse_controls(text: str) -> None:
    """No control character anywhere, the display name included: this is what keeps headers apart."""
    for position, character in enumerate(text):
        if character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029":
            raise InvalidParameterValue(_WHITESPACE_IN_DOMAIN if "@" in text[:position] else _WHITESPACE_IN_LOCAL)
        if "\ud800" <= character <= "\udfff":
            raise InvalidParameterValue("Illegal address")


def _split_name(text: str) -> tuple[str, str]:
    """Display name (unquoted) and ``local@domain``."""
    if not text.endswith(">"):
        if "<" in text or ">" in text:
            raise InvalidParameterValue("Illegal address")
        return "", text
    quoted = _QUOTED.match(text)
    start = text.find("<", quoted.end() if quoted else 0)
    if start < 0:
        raise InvalidParameterValue("Illegal address")
    phrase = text[:start].strip(" ")
    if not _PHRASE.fullmatch(phrase):
        raise InvalidParameterValue("Illegal address")
    whole = _QUOTED.fullmatch(phrase)
    name = re.sub(r"\\(.)", r"\1", whole[1]) if whole else phrase
    return name.strip(" "), text[start + 1 : -1]


def _end_of_local(spec: str) -> int:
    """Where the ``@`` is that ends the local part, which is checked on the way."""
    quoted = _QUOTED.match(spec)
    if quoted:
        if not spec.isascii():
            raise InvalidParameterValue(_WHITESPACE_IN_LOCAL)
        if spec[quoted.end() : quoted.end() + 1] != "@":
            raise InvalidParameterValue("Quote not at end of local address")
        return quoted.end()
    local, at, _ = spec.partition("@")
    # SES takes seven-bit local parts only, and says this of others (SES developer guide, "Verified identities").
    if " " in local or not local.isascii():
        raise InvalidParameterValue(_WHITESPACE_IN_LOCAL)
    if "," in local:
        raise InvalidParameterValue("Illegal address")
    if not at:
        raise InvalidParameterValue("Missing final '@domain'")
    if not local:
        raise InvalidParameterValue("Missing local name")
    if _ILLEGAL_IN_LOCAL.intersection(local):
        raise InvalidParameterValue("Local address contains illegal character")
    if local.startswith("."):
        raise InvalidParameterValue("Local address starts with dot")
    if local.endswith("."):
        raise InvalidParameterValue("Local address ends with dot")
    if ".." in local:
        raise InvalidParameterValue("Local address contains dot-dot")
    return len(local)


def _domain_of(domain: str) -> str:
    """The domain in ASCII."""
    if not domain:
        raise InvalidParameterValue("Missing domain")
    if _DOMAIN_LITERAL.fullmatch(domain):
        return domain
    if " " in domain:
        raise InvalidParameterValue(_WHITESPACE_IN_DOMAIN)
    if domain.startswith("."):
        raise InvalidParameterValue("Domain starts with dot")
    if domain.endswith("."):
        raise InvalidParameterValue("Domain ends with dot")
    if ".." in domain:
        raise InvalidParameterValue("Domain contains dot-dot")
    if domain.count("@") or "," in domain:
        raise InvalidParameterValue("Illegal address" if "," in domain else "Domain contains illegal character")
    try:
        # The standard library's IDNA; plain ASCII stays as it is.
        in_ascii = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidParameterValue("Domain contains illegal character") from None
    if not re.fullmatch(r"[0-9A-Za-z.-]+", in_ascii):
        raise InvalidParameterValue("Domain contains illegal character")
    return in_ascii
