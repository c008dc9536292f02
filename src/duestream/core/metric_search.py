"""CloudWatch's search expressions: ``SEARCH('{Namespace,Dimension} MetricName="Name"', 'Sum', 60)``.

Grafana asks so for every metric whose dimension is left open, or has several values. Source: CloudWatch User Guide,
"CloudWatch search expression syntax". A word without quotation marks is found as a part, whatever the case; AWS cuts
names into tokens there, so it may find less.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from duestream.errors import Error

#: Name and value of each dimension.
Dimensions = tuple[tuple[str, str], ...]
#: Whether a metric of this namespace, name and dimensions is meant.
Meant = Callable[[str, str, Dimensions], bool]

_CALL = re.compile(
    r"\s*SEARCH\(\s*'(?P<search>(?:[^'\\]|\\.)*)'\s*,\s*'(?P<stat>[^']*)'\s*(?:,\s*(?P<period>\d+)\s*)?\)\s*", re.DOTALL
)
_REMOVE_EMPTY = re.compile(r"\s*REMOVE_EMPTY\((?P<inner>.*)\)\s*", re.DOTALL)
_SCHEMA = re.compile(r"\s*\{(?P<names>[^}]*)\}")
_TOKEN = re.compile(r'\s*(?:(?P<mark>[()=])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()="]+))')
_OPERATORS = ("AND", "OR", "NOT")
MAX_SEARCH_LENGTH = 1024
MAX_DEPTH = 20


class SearchError(Error):
    """The expression is not one that is served."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for. `period_seconds` is None where the query has it."""

    meant: Meant
    statistic: str
    period_seconds: int | None
    #: Without metrics that have no values in the time that is asked about.
    without_empty: bool


@dataclass(frozen=True, slots=True)
class _Token:
    """A mark, an operator, or a text; quoted ones are taken as they stand."""

    text: str
    is_mark: bool = False
    is_quoted: bool = False

    def is_(self, *texts: str) -> bool:
        return not self.is_quoted and self.text in texts and (self.is_mark or self.text in _OPERATORS)


def parse_search(text: str) -> Search:
    """Read a ``SEARCH`` expression, also one inside ``REMOVE_EMPTY``.

    Raises:
        SearchError: it is another expression, or cannot be read.
    """
    around = _REMOVE_EMPTY.fullmatch(text)
    call = _CALL.fullmatch(text if around is None else around["inner"])
    if call is None:
        raise SearchError("only SEARCH('...', 'statistic', period) is served, alone or in REMOVE_EMPTY(...)")
    search = re.sub(r"\\(['])", r"\1", call["search"])
    if len(search) > MAX_SEARCH_LENGTH:
        raise SearchError(f"a search has {MAX_SEARCH_LENGTH} characters at the most")
    schema = _SCHEMA.match(search)
    tokens = _tokens(search if schema is None else search[schema.end() :])
    meant = _Parser(tokens).parse()
    if schema is not None:
        meant = _all(_of_schema(schema["names"]), meant)
    period = call["period"]
    return Search(meant, call["stat"], None if period is None else int(period), around is not None)


def _tokens(text: str) -> list[_Token]:
    found, position = [], 0
    while text[position:].strip():
        token = _TOKEN.match(text, position)
        if token is None:
            raise SearchError(f"it cannot be read from {text[position : position + 30]!r} on")
        if token["quoted"] is not None:
            found.append(_Token(re.sub(r"\\(.)", r"\1", token["quoted"]), is_quoted=True))
        else:
            found.append(_Token(token["mark"] or token["word"], is_mark=token["mark"] is not None))
        position = token.end()
    return found


def _of_schema(text: str) -> Meant:
    """``{Namespace,Dimension}``: of this namespace, with these dimensions and no others."""
    namespace, *names = (part.strip().strip('"') for part in text.split(","))
    wanted = sorted(names)
    return lambda of, _, dimensions: of == namespace and sorted(name for name, _ in dimensions) == wanted


class _Parser:
    """Recursive descent. NOT binds closer than AND, which need not be written, and that closer than OR."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._depth = tokens, 0

    def parse(self) -> Meant:
        if not self._tokens:
            return lambda *_: True
        meant = self._any_of()
        if self._tokens:
            raise SearchError(f"{self._tokens[0].text!r} is not expected there")
        return meant

    def _any_of(self) -> Meant:
        meant = self._all_of()
        while self._take("OR"):
            meant = _any(meant, self._all_of())
        return meant

    def _all_of(self) -> Meant:
        meant = self._one()
        while self._tokens and not self._tokens[0].is_("OR", ")"):
            self._take("AND")
            meant = _all(meant, self._one())
        return meant

    def _one(self) -> Meant:
        if self._take("NOT"):
            inner = self._one()
            return lambda *metric: not inner(*metric)
        if self._take("("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise SearchError("it is nested too deeply")
            inner = self._any_of()
            self._close()
            return inner
        token = self._text()
        return self._property(token.text) if self._take("=") else _somewhere(token)

    def _property(self, name: str) -> Meant:
        """What follows ``Name=``: one value, or several in parentheses."""
        values = []
        if self._take("("):
            values.append(self._text())
            while self._take("OR"):
                values.append(self._text())
            self._close()
        else:
            values.append(self._text())
        return _with_property(name, values)

    def _take(self, text: str) -> bool:
        if self._tokens and self._tokens[0].is_(text):
            del self._tokens[0]
            return True
        return False

    def _text(self) -> _Token:
        if not self._tokens or self._tokens[0].is_mark or self._tokens[0].is_(*_OPERATORS):
            raise SearchError("a name or a value is missing")
        return self._tokens.pop(0)

    def _close(self) -> None:
        if not self._take(")"):
            raise SearchError("a parenthesis is not closed")


def _all(one: Meant, other: Meant) -> Meant:
    return lambda *metric: one(*metric) and other(*metric)


def _any(one: Meant, other: Meant) -> Meant:
    return lambda *metric: one(*metric) or other(*metric)


def _fits(token: _Token, value: str) -> bool:
    return token.text == value if token.is_quoted else token.text.casefold() in value.casefold()


def _somewhere(token: _Token) -> Meant:
    """A text without a property: the namespace, the name, or the name or value of a dimension."""
    return lambda namespace, name, dimensions: any(
        _fits(token, text) for text in (namespace, name, *(part for pair in dimensions for part in pair))
    )


def _with_property(wanted: str, values: list[_Token]) -> Meant:
    def meant(namespace: str, name: str, dimensions: Dimensions) -> bool:
        own = {"Namespace": namespace, "MetricName": name, **dict(dimensions)}
        return wanted in own and any(_fits(value, own[wanted]) for value in values)

    return meant
