"""Cut a PartiQL statement into tokens, each with its place in the text.

What makes a token is from the PartiQL specification; which texts DynamoDB cannot read at all was recorded from
AWS by paritysuite/dynamodb-conformance (``partiqlGrammar.test.ts``, eu-west-2, 2026-10).
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from duestream.core.partiql.keywords import KEYWORDS
from duestream.errors import ValidationException

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "
#: Numbers are read into a 32-bit scale; what does not fit is no number at all.
MAX_SCALE = 2**31 - 1

TokenKind = Literal["word", "quoted", "string", "number", "parameter", "symbol", "end"]

_scan = re.compile(
    r"(?P<space>[ \t\r\n\f\v]+|--[^\n]*|/\*.*?\*/)"
    r"|(?P<word>[A-Za-z_$][A-Za-z0-9_$]*)"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    r"|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<parameter>\?)"
    r"|(?P<symbol><<|>>|<=|>=|<>|!=|\|\||[-=<>()\[\]{},.:;+*/%@])",
    re.DOTALL,
).match
_read_number = re.compile(r"(?:[0-9]+(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?\Z").match


class Token(NamedTuple):
    """A piece of the text: `text` is what it says, without quotation marks; the rest is where it stands."""

    kind: TokenKind
    text: str
    line: int
    column: int
    length: int

    @property
    def upper(self) -> str:
        """The word in capitals; nothing for all that is no word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def is_name(self) -> bool:
        """Whether it can name an attribute or a table: a word that is no keyword, or anything quoted."""
        return self.kind == "quoted" or (self.kind == "word" and self.text.upper() not in KEYWORDS)

    @property
    def place(self) -> str:
        """``line:column:length``, as AWS says where something stands."""
        return f"{self.line}:{self.column}:{self.length}"


def malformed(detail: str = "") -> ValidationException:
    """The refusal of a statement that cannot be read."""
    return ValidationException(NOT_WELL_FORMED + detail)


@dataclass(slots=True)
class Tokens:
    """The tokens of one statement, and how far the parser has come."""

    tokens: list[Token]
    at: int = 0
    #: How many parameters were read.
    parameters: int = 0

    @property
    def current(self) -> Token:
        return self.tokens[self.at]

    @property
    def following(self) -> Token:
        """The token after the current one; at the end, the end."""
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def advance(self) -> Token:
        """Step over the current token and give it."""
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def is_symbol(self, *symbols: str) -> bool:
        """Say whether the current token is one of these symbols."""
        token = self.tokens[self.at]
        return token.kind == "symbol" and token.text in symbols

    def take_symbol(self, symbol: str) -> bool:
        """Step over this symbol if it is the current token."""
        if self.is_symbol(symbol):
            self.at += 1
            return True
        return False

    def is_keyword(self, *keywords: str) -> bool:
        """Say whether the current token is one of these words, in any case."""
        return self.tokens[self.at].upper in keywords

    def take_keyword(self, *keywords: str) -> bool:
        """Step over these words if they are what comes next."""
        following = self.tokens[self.at : self.at + len(keywords)]
        if len(following) == len(keywords) and all(
            token.upper == keyword for token, keyword in zip(following, keywords, strict=True)
        ):
            self.at += len(keywords)
            return True
        return False

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left, but for a semicolon."""
        return self.current.kind == "end" or self.is_symbol(";")


def tokenize(source: str) -> Tokens:
    """Cut the text into tokens, the last of which is the end.

    Raises:
        ValidationException: there is something that is no token, or a number that is none.
    """
    tokens: list[Token] = []
    at, line, line_start = 0, 1, 0
    while at < len(source):
        found = _scan(source, at)
        if found is None or (found.group() == "/" and source.startswith("/*", at)):
            raise malformed()
        kind, text = found.lastgroup, found.group()
        if kind != "space":
            tokens.append(_token(str(kind), text, line, at - line_start + 1))
        newlines = text.count("\n")
        if newlines:
            line += newlines
            line_start = at + text.rindex("\n") + 1
        at = found.end()
    tokens.append(Token("end", "", line, at - line_start + 1, 0))
    return Tokens(tokens)


def _token(kind: str, text: str, line: int, column: int) -> Token:
    match kind:
        case "quoted":
            return Token("quoted", text[1:-1].replace('""', '"'), line, column, len(text))
        case "string":
            return Token("string", text[1:-1].replace("''", "'"), line, column, len(text))
        case "number":
            _check_scale(text)
            return Token("number", text, line, column, len(text))
        case "word":
            return Token("word", text, line, column, len(text))
        case "parameter":
            return Token("parameter", text, line, column, 1)
        case _:
            return Token("symbol", text, line, column, len(text))


def _check_scale(text: str) -> None:
    found = _read_number(text)
    assert found is not None, text
    fraction = len(found.group(1) or found.group(2) or "")
    exponent = found.group(3)
    if exponent is None:
        return
    if len(exponent.lstrip("+-").lstrip("0")) > 10:
        raise malformed()
    power = int(exponent)
    if not -MAX_SCALE - 1 <= power <= MAX_SCALE or not -MAX_SCALE - 1 <= fraction - power <= MAX_SCALE:
        raise malformed()
