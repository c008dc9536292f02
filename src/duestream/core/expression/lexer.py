"""Cut an expression's text into tokens, and say where it breaks off as AWS says it.

Which characters make a token was measured by Alternator's tests (``_123`` is not a name: token ``_``, near
``SET _123``). What is near an error is the source text from the token before to the token after.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

#: AWS: "The maximum length of any expression string is 4 KB" (Service quotas, expression parameters).
MAX_EXPRESSION_BYTES = 4096

TokenKind = Literal["word", "number", "name", "value", "symbol", "foreign", "end"]

_scan = re.compile(
    r"(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<number>[0-9]+)"
    r"|(?P<name>\#[A-Za-z0-9_]+)"
    r"|(?P<value>:[A-Za-z0-9_]+)"
    r"|(?P<symbol><>|<=|>=|[=<>()\[\].,+-])"
    r"|(?P<foreign>[^ \t\r\n])"
).finditer


class ExpressionProblem(Exception):
    """What is wrong with an expression, before it is known which parameter it came in."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Token(NamedTuple):
    """A piece of the text. `start` and `end` are places in it."""

    kind: TokenKind
    text: str
    start: int
    end: int


@dataclass(slots=True)
class Tokens:
    """The tokens of one expression, and how far the parser has come."""

    source: str
    tokens: list[Token]
    at: int = 0

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
        self.at += 1
        return token

    def take_symbol(self, symbol: str) -> bool:
        """Step over this symbol if it is the current token."""
        token = self.tokens[self.at]
        if token.kind == "symbol" and token.text == symbol:
            self.at += 1
            return True
        return False

    def expect_symbol(self, symbol: str) -> None:
        """Step over this symbol; anything else is a syntax error."""
        if not self.take_symbol(symbol):
            raise self.syntax_error()

    def is_keyword(self, *keywords: str) -> bool:
        """Say whether the current token is one of these words, in any case."""
        token = self.tokens[self.at]
        return token.kind == "word" and token.text.upper() in keywords

    def take_keyword(self, keyword: str) -> bool:
        """Step over this word if it is the current token."""
        if self.is_keyword(keyword):
            self.at += 1
            return True
        return False

    def syntax_error(self) -> ExpressionProblem:
        """Name the current token as the one that cannot stand where it stands."""
        token = self.current
        before = self.tokens[self.at - 1] if self.at else token
        after = self.following
        near = self.source[before.start : max(token.end, after.end if after.kind != "end" else 0)].rstrip()
        shown = "<EOF>" if token.kind == "end" else token.text
        return ExpressionProblem(f'Syntax error; token: "{shown}", near: "{near}"')


def tokenize(source: str, *, says_size: bool = True) -> Tokens:
    """Cut the text into tokens, the last of which is the end.

    Args:
        source: the expression.
        says_size: whether the size of an expression that is too long is said; of updates AWS does not say it
            (paritysuite/dynamodb-conformance, ``deepRequests``, 2026-10-09).

    Raises:
        ExpressionProblem: the text is empty or longer than `MAX_EXPRESSION_BYTES`.
    """
    if not source.strip(" \t\r\n"):
        raise ExpressionProblem("The expression can not be empty;")
    size = len(source) if source.isascii() else len(source.encode())
    if size > MAX_EXPRESSION_BYTES:
        shown = f" expression size: {size}" if says_size else ""
        raise ExpressionProblem(f"Expression size has exceeded the maximum allowed size;{shown}")
    tokens = [Token(_kind_of(found.lastgroup), found.group(), found.start(), found.end()) for found in _scan(source)]
    tokens.append(Token("end", "", len(source), len(source)))
    return Tokens(source, tokens)


_KINDS: dict[str | None, TokenKind] = {
    "word": "word",
    "number": "number",
    "name": "name",
    "value": "value",
    "symbol": "symbol",
    "foreign": "foreign",
}


def _kind_of(group: str | None) -> TokenKind:
    return _KINDS[group]
