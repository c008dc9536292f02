"""Emails as bytes (RFC 5322 and MIME). Everything here is ASCII, or taken over from a raw message.

A header line is put together from parts that can hold no line break: printable ASCII, quoted strings and
encoded words. What is not printable is refused before (`check_header_text`), so no value can end its header.
"""

import base64
import hashlib
import quopri
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import format_datetime

from duestream.core.address import Address, InvalidParameterValue

#: RFC 5322: lines should be no longer than this, and must not be longer than 998.
_GOOD_LINE_LENGTH = 76
_MAX_LINE_LENGTH = 998
#: 45 bytes are 60 digits of base64: with the frame, an encoded word stays below its limit of 75.
_ENCODED_WORD_BYTES = 45
_ENCODED_WORD = r"=\?[0-9A-Za-z_.:-]+\?[bBqQ]\?[!->@-~]*\?="
_ENCODED_WORDS = re.compile(rf"{_ENCODED_WORD}(?: +{_ENCODED_WORD})*")
_ATOMS = re.compile(r"[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+(?: [0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+)*")
_PRINTABLE = re.compile(r"[ -~]*")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]|[\ud800-\udfff]")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_HEADER_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)

#: Character sets in which a part is written as asked; whatever else Python knows goes out as UTF-8.
_MAIL_CHARSETS = re.compile(
    r"utf-8|us-ascii|iso-8859-\d+|windows-125\d|koi8-[ru]|big5|gb2312|gbk|gb18030|euc-jp|shift_jis|iso-2022-jp|euc-kr",
    re.IGNORECASE,
)
#: A line end that no fold follows.
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
#: Fifty recipients fill 16 KiB. SES's own limit is not known; ours keeps reading a head short.
MAX_HEAD_BYTES = 256 * 1024
#: SES writes these itself, and drops what the sender gave (SES developer guide, "Header fields").
_OURS_IN_RAW = frozenset({b"bcc", b"date", b"message-id", b"return-path"})


def check_header_text(text: str, what: str) -> str:
    """The text as it is, if it can stand in a header.

    Raises:
        InvalidParameterValue: it has a control character (tabs are fine) or is no Unicode text.
    """
    if _CONTROL.search(text):
        raise InvalidParameterValue(f"{what} must not contain control characters such as line breaks")
    return text


def check_display_name(name: str) -> str:
    """The display name as it is, if its encoded words (if any) hide no control character either."""
    check_header_text(name, "Display name")
    if _ENCODED_WORDS.fullmatch(name):
        check_header_text(decoded_words(name), "Display name")
    return name


def decoded_words(text: str) -> str:
    """The text with its encoded words decoded; as it is where nobody can decode them."""
    try:
        return "".join(
            part.decode(charset or "ascii", "replace") if isinstance(part, bytes) else part
            for part, charset in decode_header(text)
        )
    except (HeaderParseError, LookupError, ValueError):
        return text


def unstructured(name: str, text: str) -> bytes:
    """One header line (folded, with its line end) of free text."""
    plain = _PRINTABLE.fullmatch(text) and "=?" not in text and text == text.strip()
    if plain and len(name) + 2 + len(text) <= _GOOD_LINE_LENGTH:
        return _line(name, [text])
    words = text.split(" ")
    if plain and "" not in words and max(map(len, words)) < _MAX_LINE_LENGTH - len(name) - 3:
        return _line(name, _filled(words, first=len(name) + 2))
    return _line(name, _encoded_words(text))


def address_list(name: str, addresses: Iterable[Address]) -> bytes:
    """One header line (folded, an address on each) of addresses."""
    chunks: list[str] = []
    for address in addresses:
        if chunks:
            chunks[-1] += ","
        chunks.extend(_mailbox(address))
    return _line(name, chunks)


def date_and_id(*, message_id: str, date: datetime) -> bytes:
    """The two lines that SES adds to every message."""
    if not re.fullmatch(r"[!-;=?-~]+@[!-;=?-~]+", message_id):
        raise InvalidParameterValue(f"{message_id!r} cannot be a Message-ID")
    return _line("Message-ID", [f"<{message_id}>"]) + _line("Date", [format_datetime(date)])


def body(text: tuple[str, str] | None, html: tuple[str, str] | None) -> bytes:
    """MIME headers, an empty line and the body; each part is its text and its charset.

    The boundary is a digest of the parts, so that the same email is always the same bytes.
    """
    parts = [_part(kind, *part) for kind, part in (("plain", text), ("html", html)) if part is not None]
    version = b"MIME-Version: 1.0\r\n"
    if len(parts) == 1:
        return version + parts[0]
    digest = hashlib.sha256(b"\0".join(parts))
    while (boundary := f"=_{digest.hexdigest()[:32]}".encode()) in b"".join(parts):
        digest.update(b"again")
    content_type = b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n\r\n' % boundary
    return (
        version + content_type + b"".join(b"--%b\r\n%b" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary
    )


def raw_message(raw: bytes, own_headers: bytes) -> bytes:
    """A raw message with the headers that SES writes itself replaced, and every line ended with CRLF."""
    fields, content = split_raw(raw)
    kept = [line for name, line in fields if name not in _OURS_IN_RAW]
    return own_headers + b"".join(b"%b\r\n" % line for line in kept) + b"\r\n" + content


def split_raw(raw: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The header fields (name in lower case, whole field with its folds) and the content after them.

    Raises:
        InvalidParameterValue: the head is no head.
    """
    normalized = _LINE_END.sub(b"\r\n", raw)
    if normalized.startswith(b"\r\n"):
        head, content = b"", normalized[2:]
    else:
        head, _, content = normalized.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD_BYTES:
        raise InvalidParameterValue(f"The headers are more than {MAX_HEAD_BYTES} bytes long: '{len(head)}'.")
    fields = []
    for field in _FIELD_END.split(head):
        if not field:
            continue
        match = _HEADER_FIELD.fullmatch(field)
        if match is None or b"\0" in field:
            raise InvalidParameterValue("Expected ':' after a header's name")
        fields.append((match[1].lower(), field))
    return fields, content


def field_value(field: bytes) -> str:
    """The value of one header field of a raw message, unfolded; encoded words are left as they are."""
    _, _, value = field.partition(b":")
    return value.replace(b"\r\n", b"").decode("utf-8", "replace").strip()


def usable_charset(charset: str) -> str:
    """The charset to write a part in, in lower case: the one asked for, or UTF-8 for what is no usual one in email.

    Raises:
        InvalidParameterValue: nobody knows a charset of this name.
    """
    try:
        "".encode(charset)
    except (LookupError, ValueError, UnicodeError):
        raise InvalidParameterValue(f"Unsupported charset: {charset!r}") from None
    return charset.lower() if _MAIL_CHARSETS.fullmatch(charset) else "utf-8"


def _line(name: str, chunks: Sequence[str]) -> bytes:
    """A whole header line; the last look that no chunk brings a line break of its own."""
    line = f"{name}: " + "\r\n ".join(chunks)
    if not all(_PRINTABLE.fullmatch(chunk) for chunk in chunks):
        raise InvalidParameterValue(f"Header {name} must not contain control characters such as line breaks")
    return line.encode("ascii") + b"\r\n"


def _filled(words: Sequence[str], *, first: int) -> list[str]:
    lines: list[str] = []
    line, length = [words[0]], first + len(words[0])
    for word in words[1:]:
        if length + 1 + len(word) > _GOOD_LINE_LENGTH:
            lines.append(" ".join(line))
            line, length = [word], 1 + len(word)
        else:
            line.append(word)
            length += 1 + len(word)
    return [*lines, " ".join(line)]


def _encoded_words(text: str) -> list[str]:
    """The text as encoded words in UTF-8; no character is cut in two."""
    chunks, chunk = [], b""
    for character in text:
        encoded = character.encode("utf-8")
        if len(chunk) + len(encoded) > _ENCODED_WORD_BYTES:
            chunks.append(chunk)
            chunk = b""
        chunk += encoded
    return [f"=?utf-8?B?{base64.b64encode(piece).decode('ascii')}?=" for piece in (*chunks, chunk)]


def _mailbox(address: Address) -> list[str]:
    """An address in pieces between which the line may be folded."""
    if not address.name:
        return [address.spec]
    pieces = _phrase(address.name)
    return [*pieces[:-1], f"{pieces[-1]} <{address.spec}>"]


def _phrase(name: str) -> list[str]:
    """A display name: as it is, quoted or encoded, whichever is needed."""
    if _ENCODED_WORDS.fullmatch(name):  # SES asks its callers to encode names themselves
        return name.split()
    if not _PRINTABLE.fullmatch(name) or "=?" in name:
        return _encoded_words(name)
    if _ATOMS.fullmatch(name):
        return [name]
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _part(kind: str, text: str, charset: str) -> bytes:
    """One text part with its headers; ends with a line end."""
    lines = re.sub(r"\r\n|\r", "\n", text)
    try:
        content = lines.encode(charset)
    except UnicodeEncodeError as error:
        if error.object[error.start : error.end].encode("utf-8", "ignore") == b"":
            raise InvalidParameterValue("Body is not Unicode text") from None
        charset, content = "utf-8", lines.encode("utf-8")  # better whole in another charset than not at all
    encoding, content = _transferable(content)
    if not content.endswith(b"\n"):
        content += b"\n"
    head = f'Content-Type: text/{kind}; charset="{charset}"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode("ascii") + content.replace(b"\n", b"\r\n")


def _transferable(content: bytes) -> tuple[str, bytes]:
    """The content in seven bits and short lines, and the name of the encoding. Lines end with LF."""
    odd = len(content) - len(re.sub(rb"[^\t\n -~]", b"", content))
    if odd == 0 and max(map(len, content.split(b"\n"))) <= _MAX_LINE_LENGTH:
        return "7bit", content
    # Of the two encodings, the shorter one: an odd byte takes three in quoted-printable, any byte 4/3 in base64.
    if odd * 6 < len(content):
        return "quoted-printable", quopri.encodestring(content)
    return "base64", base64.encodebytes(content.replace(b"\n", b"\r\n"))
