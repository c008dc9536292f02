"""Read an expression's text: recursive descent, one token ahead. Results are cached by text.

Everything that is wrong with the text alone is found here; what depends on placeholders is found when they
are looked up (conditions.py, updates.py). Which of several problems AWS names first was measured by
dynalite: in conditions redundant parentheses, unknown functions, functions in the wrong place, reserved
words; in updates reserved words, unknown functions, sections written twice.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import cast

from duestream.core.expression.lexer import ExpressionProblem, Tokens, tokenize
from duestream.core.expression.reserved import is_reserved
from duestream.core.expression.syntax import (
    ActionSyntax,
    AddSyntax,
    AllSyntax,
    AnySyntax,
    ArithmeticSyntax,
    BetweenSyntax,
    Comparator,
    ComparisonSyntax,
    ConditionSyntax,
    DeleteSyntax,
    FunctionSyntax,
    InSyntax,
    LeafSyntax,
    NotSyntax,
    OperandSyntax,
    PathSyntax,
    ProjectionSyntax,
    RemoveSyntax,
    SetSyntax,
    UpdateSyntax,
    ValueSyntax,
)

#: How deep parentheses and calls may nest. AWS allows 300 operators; deeper than this only machines write.
MAX_NESTING = 100
CACHED_EXPRESSIONS = 1024

CONDITION_FUNCTIONS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"}
)
UPDATE_FUNCTIONS = frozenset({"if_not_exists", "list_append"})

_COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_CONDITION_KEYWORDS = ("AND", "OR", "NOT", "BETWEEN", "IN")
_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_condition_text(text: str) -> ConditionSyntax:
    """Read a condition, filter or key condition.

    Raises:
        ExpressionProblem: with AWS's text, without the name of the parameter.
    """
    parser = _ConditionParser(tokenize(text), _CONDITION_KEYWORDS)
    condition = parser.whole()
    if parser.has_redundant_parentheses:
        raise ExpressionProblem("The expression has redundant parentheses;")
    leaves = list(leaves_of(condition))
    _check_functions([call for leaf in leaves for call in _calls_in(leaf)], CONDITION_FUNCTIONS)
    for leaf in leaves:
        _check_places_of_functions(leaf)
    _check_reserved(path for leaf in leaves for path in _paths_in(leaf))
    return condition


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_update_text(text: str) -> UpdateSyntax:
    """Read an update; errors as in `parse_condition_text`."""
    parser = _UpdateParser(tokenize(text), _SECTIONS)
    update = parser.whole()
    operands = [operand for action in update.actions for operand in operands_of(action)]
    _check_reserved(path for operand in operands for path in _paths_in(operand))
    calls = [call for operand in operands for call in _calls_in(operand)]
    _check_functions(calls, UPDATE_FUNCTIONS)
    for argument in (argument for call in calls for argument in call.arguments):
        if isinstance(argument, FunctionSyntax) and argument.name == "list_append":
            raise _misplaced(argument.name)
    if parser.repeated_section:
        raise ExpressionProblem(
            f'The "{parser.repeated_section}" section can only be used once in an update expression;'
        )
    return update


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_projection_text(text: str) -> ProjectionSyntax:
    """Read a projection; errors as in `parse_condition_text`."""
    tokens = tokenize(text)
    parser = _OperandParser(tokens, ())
    paths = [parser.path()]
    while tokens.take_symbol(","):
        paths.append(parser.path())
    parser.expect_end()
    _check_reserved(paths)
    return ProjectionSyntax(tuple(paths))


def leaves_of(condition: ConditionSyntax) -> Iterator[LeafSyntax]:
    """Give the single conditions, from left to right."""
    match condition:
        case AllSyntax(parts) | AnySyntax(parts):
            for part in parts:
                yield from leaves_of(part)
        case NotSyntax(part):
            yield from leaves_of(part)
        case _:
            yield condition


def operands_of(action: ActionSyntax) -> tuple[OperandSyntax, ...]:
    """Give what an action reads and writes, from left to right."""
    match action:
        case SetSyntax(path, ArithmeticSyntax(_, left, right)):
            return (path, left, right)
        case SetSyntax(path, value):
            return (path, cast("OperandSyntax", value))
        case RemoveSyntax(path):
            return (path,)
        case AddSyntax(path, value) | DeleteSyntax(path, value):
            return (path, value)


class _OperandParser:
    """Paths, placeholders and calls: what all expressions share."""

    def __init__(self, tokens: Tokens, keywords: tuple[str, ...]) -> None:
        self.tokens = tokens
        self.keywords = keywords
        self.has_redundant_parentheses = False
        self._depth = 0

    def expect_end(self) -> None:
        if self.tokens.current.kind != "end":
            raise self.tokens.syntax_error()

    def path(self) -> PathSyntax:
        """``a.b[1].#c``"""
        return self._rest_of_path((self._name(),))

    def operand(self) -> OperandSyntax:
        """A value, a path or a call, in at most one useful pair of parentheses."""
        if self.tokens.take_symbol("("):
            self._enter()
            is_doubled = self._is_at_parenthesis()
            inner = self.operand()
            self.tokens.expect_symbol(")")
            self._leave()
            self.has_redundant_parentheses |= is_doubled
            return self._continued(inner)
        if self.tokens.current.kind == "value":
            return ValueSyntax(self.tokens.advance().text)
        if self.tokens.current.kind == "word" and self.tokens.following.text == "(":
            return self._call()
        return self.path()

    def _call(self) -> FunctionSyntax:
        if self.tokens.is_keyword(*self.keywords):
            raise self.tokens.syntax_error()
        self._enter()
        name = self.tokens.advance().text
        arguments = self._in_parentheses()
        self._leave()
        return FunctionSyntax(name, arguments)

    def _in_parentheses(self) -> tuple[OperandSyntax, ...]:
        self.tokens.expect_symbol("(")
        arguments = [self.operand()]
        while self.tokens.take_symbol(","):
            arguments.append(self.operand())
        self.tokens.expect_symbol(")")
        return tuple(arguments)

    def _continued(self, inner: OperandSyntax) -> OperandSyntax:
        """Go on with a path after its parenthesized beginning: ``(a)[1]``."""
        return self._rest_of_path(inner.steps) if isinstance(inner, PathSyntax) else inner

    def _rest_of_path(self, steps: tuple[str | int, ...]) -> PathSyntax:
        more = list(steps)
        while True:
            if self.tokens.take_symbol("."):
                more.append(self._name())
            elif self.tokens.take_symbol("["):
                if self.tokens.current.kind != "number":
                    raise self.tokens.syntax_error()
                more.append(_index(self.tokens.advance().text))
                self.tokens.expect_symbol("]")
            else:
                return PathSyntax(tuple(more))

    def _name(self) -> str:
        if self.tokens.current.kind not in ("word", "name") or self.tokens.is_keyword(*self.keywords):
            raise self.tokens.syntax_error()
        return self.tokens.advance().text

    def _is_at_parenthesis(self) -> bool:
        return self.tokens.current.text == "("

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ExpressionProblem("The expression contains too many operators;")

    def _leave(self) -> None:
        self._depth -= 1


class _ConditionParser(_OperandParser):
    """OR binds least, then AND, then NOT. A parenthesis may hold a condition or an operand."""

    def whole(self) -> ConditionSyntax:
        condition = self._condition(self._any())
        self.expect_end()
        return condition

    def _any(self) -> ConditionSyntax | OperandSyntax:
        first = self._all()
        if not self.tokens.is_keyword("OR"):
            return first
        parts = [self._condition(first)]
        while self.tokens.take_keyword("OR"):
            parts.append(self._condition(self._all()))
        return AnySyntax(tuple(parts))

    def _all(self) -> ConditionSyntax | OperandSyntax:
        first = self._not()
        if not self.tokens.is_keyword("AND"):
            return first
        parts = [self._condition(first)]
        while self.tokens.take_keyword("AND"):
            parts.append(self._condition(self._not()))
        return AllSyntax(tuple(parts))

    def _not(self) -> ConditionSyntax | OperandSyntax:
        if self.tokens.take_keyword("NOT"):
            self._enter()
            negated = NotSyntax(self._condition(self._not()))
            self._leave()
            return negated
        return self._comparison()

    def _comparison(self) -> ConditionSyntax | OperandSyntax:
        left = self._primary()
        token = self.tokens.current
        if token.kind == "symbol" and token.text in _COMPARATORS:
            operand = self._operand_only(left)
            self.tokens.advance()
            return ComparisonSyntax(cast("Comparator", token.text), operand, self.operand())
        if self.tokens.is_keyword("BETWEEN"):
            operand = self._operand_only(left)
            self.tokens.advance()
            low = self.operand()
            if not self.tokens.take_keyword("AND"):
                raise self.tokens.syntax_error()
            return BetweenSyntax(operand, low, self.operand())
        if self.tokens.is_keyword("IN"):
            operand = self._operand_only(left)
            self.tokens.advance()
            return InSyntax(operand, self._in_parentheses())
        return left

    def _primary(self) -> ConditionSyntax | OperandSyntax:
        if not self.tokens.take_symbol("("):
            return self.operand()
        self._enter()
        opened_at = self.tokens.at
        inner = self._any()
        # twice the same parenthesis: the inner one ended just before the outer one does
        is_doubled = self.tokens.tokens[opened_at].text == "(" and self._closes_at(opened_at) == self.tokens.at - 1
        self.tokens.expect_symbol(")")
        self._leave()
        self.has_redundant_parentheses |= is_doubled
        if isinstance(inner, PathSyntax | ValueSyntax | FunctionSyntax):
            return self._continued(inner)
        return inner

    def _closes_at(self, opened_at: int) -> int:
        depth = 0
        for at in range(opened_at, self.tokens.at):
            text = self.tokens.tokens[at].text
            depth += (text == "(") - (text == ")")
            if depth == 0:
                return at
        return -1

    def _condition(self, node: ConditionSyntax | OperandSyntax) -> ConditionSyntax:
        if isinstance(node, PathSyntax | ValueSyntax):
            raise self.tokens.syntax_error()
        return node

    def _operand_only(self, node: ConditionSyntax | OperandSyntax) -> OperandSyntax:
        if not isinstance(node, PathSyntax | ValueSyntax | FunctionSyntax):
            raise self.tokens.syntax_error()
        return node


class _UpdateParser(_OperandParser):
    """Sections in any order, each with its actions."""

    def __init__(self, tokens: Tokens, keywords: tuple[str, ...]) -> None:
        super().__init__(tokens, keywords)
        self.repeated_section: str | None = None

    def whole(self) -> UpdateSyntax:
        actions: list[ActionSyntax] = []
        seen: set[str] = set()
        while self.tokens.current.kind != "end":
            section = self._section()
            if section in seen and self.repeated_section is None:
                self.repeated_section = section
            seen.add(section)
            actions.append(self._action(section))
            while self.tokens.take_symbol(","):
                actions.append(self._action(section))
        return UpdateSyntax(tuple(actions))

    def _section(self) -> str:
        if not self.tokens.is_keyword(*_SECTIONS):
            raise self.tokens.syntax_error()
        return self.tokens.advance().text.upper()

    def _action(self, section: str) -> ActionSyntax:
        path = self.path()
        if section == "REMOVE":
            return RemoveSyntax(path)
        if section == "SET":
            self.tokens.expect_symbol("=")
            return SetSyntax(path, self._value())
        if self.tokens.current.kind != "value":
            raise self.tokens.syntax_error()
        value = ValueSyntax(self.tokens.advance().text)
        return AddSyntax(path, value) if section == "ADD" else DeleteSyntax(path, value)

    def _value(self) -> OperandSyntax | ArithmeticSyntax:
        if self._is_at_parenthesis() and self._parenthesis_holds_arithmetic():
            self.tokens.advance()
            inner = self._sum()
            self.tokens.expect_symbol(")")
            return inner
        return self._sum()

    def _sum(self) -> OperandSyntax | ArithmeticSyntax:
        left = self.operand()
        if self.tokens.take_symbol("+"):
            return ArithmeticSyntax("+", left, self.operand())
        if self.tokens.take_symbol("-"):
            return ArithmeticSyntax("-", left, self.operand())
        return left

    def _parenthesis_holds_arithmetic(self) -> bool:
        """Tell ``(a + b)`` from ``(a) + b`` by what comes before the parenthesis ends."""
        depth = 0
        for token in self.tokens.tokens[self.tokens.at :]:
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0:
                return False
            if depth == 1 and token.text in ("+", "-"):
                return True
        return False


def _index(digits: str) -> int:
    """Read a place in a list. No list is as long as nine digits say."""
    return int(digits) if len(digits) <= 9 else 10**9


def _check_functions(calls: list[FunctionSyntax], allowed: frozenset[str]) -> None:
    """Refuse functions that do not exist, then those of the other kind of expression."""
    for call in calls:
        if call.name not in CONDITION_FUNCTIONS | UPDATE_FUNCTIONS:
            raise ExpressionProblem(f"Invalid function name; function: {call.name}")
    for call in calls:
        if call.name not in allowed:
            raise _misplaced(call.name)


def _check_places_of_functions(leaf: LeafSyntax) -> None:
    """Only `size` gives something to compare; it is the only one that is no condition itself."""
    if isinstance(leaf, FunctionSyntax) and leaf.name == "size":
        raise _misplaced(leaf.name)
    calls = _calls_in(leaf)
    for call in calls:
        if call is not leaf and call.name != "size":
            raise _misplaced(call.name)


def _misplaced(function: str) -> ExpressionProblem:
    return ExpressionProblem(f"The function is not allowed to be used this way in an expression; function: {function}")


def _check_reserved(paths: Iterator[PathSyntax] | list[PathSyntax]) -> None:
    for path in paths:
        for step in path.steps:
            if isinstance(step, str) and step[0] != "#" and is_reserved(step):
                raise ExpressionProblem(f"Attribute name is a reserved keyword; reserved keyword: {step}")


def _parts_of(node: LeafSyntax | OperandSyntax) -> tuple[OperandSyntax, ...]:
    match node:
        case ComparisonSyntax(_, left, right):
            return (left, right)
        case BetweenSyntax(operand, low, high):
            return (operand, low, high)
        case InSyntax(operand, candidates):
            return (operand, *candidates)
        case FunctionSyntax(_, arguments):
            return arguments
        case _:
            return ()


def _calls_in(node: LeafSyntax | OperandSyntax) -> Iterator[FunctionSyntax]:
    """Give calls, the inner ones first, as AWS comes across them."""
    for part in _parts_of(node):
        yield from _calls_in(part)
    if isinstance(node, FunctionSyntax):
        yield node


def _paths_in(node: LeafSyntax | OperandSyntax) -> Iterator[PathSyntax]:
    if isinstance(node, PathSyntax):
        yield node
    for part in _parts_of(node):
        yield from _paths_in(part)
