"""Read an expression's text: recursive descent, one token ahead. Results are cached by text.

Everything that is wrong with the text alone is found here; what depends on placeholders is found when they
are looked up (conditions.py, updates.py). Which of several problems AWS names first was measured by
dynalite: in conditions redundant parentheses, unknown functions, functions in the wrong place, reserved
words; in updates reserved words, unknown functions, sections written twice.
"""

from functools import lru_cache
from typing import cast

from duestream.core.expression.checks import (
    CONDITION_FUNCTIONS,
    UPDATE_FUNCTIONS,
    calls_in,
    check_functions,
    check_places_of_functions,
    check_reserved,
    leaves_of,
    misplaced,
    operands_of,
    paths_in,
    simple_operands_of,
)
from duestream.core.expression.lexer import ExpressionProblem, Tokens, tokenize
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
    NotSyntax,
    OperandSyntax,
    PathSyntax,
    ProjectionSyntax,
    RemoveSyntax,
    SetSyntax,
    UpdateSyntax,
    ValueSyntax,
)

#: Developer Guide, "Quotas in Amazon DynamoDB", "Expression parameters": operators in a condition, filter or key
#: condition; operators and functions in an update.
MAX_OPERATORS = 300
#: How deep operands may nest. AWS has no such limit, but every use of more than two levels is an error anyway.
MAX_NESTING = 100
CACHED_EXPRESSIONS = 1024

_COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_CONDITION_KEYWORDS = ("AND", "OR", "NOT", "BETWEEN", "IN")
_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_condition_text(text: str) -> ConditionSyntax:
    """Read a condition, filter or key condition.

    Raises:
        ExpressionProblem: with AWS's text, without the name of the parameter.
    """
    tokens = tokenize(text)
    _check_number_of_operators(tokens)
    parser = _ConditionParser(tokens, _CONDITION_KEYWORDS)
    condition = parser.whole()
    if parser.has_redundant_parentheses:
        raise ExpressionProblem("The expression has redundant parentheses;")
    leaves = leaves_of(condition)
    check_functions([call for leaf in leaves for call in calls_in(leaf)], CONDITION_FUNCTIONS)
    for leaf in leaves:
        check_places_of_functions(leaf)
    check_reserved(path for leaf in leaves for path in paths_in(leaf))
    return condition


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def parse_update_text(text: str) -> UpdateSyntax:
    """Read an update; errors as in `parse_condition_text`."""
    parser = _UpdateParser(tokenize(text, says_size=False), _SECTIONS)
    update = parser.whole()
    operands = [operand for action in update.actions for operand in operands_of(action)]
    check_reserved(path for operand in operands for path in paths_in(operand))
    calls = [call for operand in operands for call in calls_in(operand)]
    sums = sum(
        isinstance(action, SetSyntax) and isinstance(action.value, ArithmeticSyntax) for action in update.actions
    )
    if len(calls) + sums > MAX_OPERATORS:
        raise _too_many_operators()
    check_functions(calls, UPDATE_FUNCTIONS)
    for argument in (argument for call in calls for argument in call.arguments):
        if isinstance(argument, FunctionSyntax) and argument.name == "list_append":
            raise misplaced(argument.name)
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
    check_reserved(paths)
    return ProjectionSyntax(tuple(paths))


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
        return self._is_at("(")

    def _is_at(self, symbol: str) -> bool:
        return self.tokens.current.text == symbol

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise _too_many_operators()

    def _leave(self) -> None:
        self._depth -= 1


class _Parenthesis:
    """An open parenthesis, or the whole condition: what was read in it so far."""

    def __init__(self, opened_at: int) -> None:
        self.opened_at = opened_at
        self.alternatives: list[ConditionSyntax] = []
        self.parts: list[ConditionSyntax] = []
        self.negations = 0

    def end_of_part(self, part: ConditionSyntax) -> None:
        """Keep a part that AND follows."""
        self.parts.append(self._negated(part))

    def end_of_alternative(self, part: ConditionSyntax) -> None:
        """Keep what OR follows."""
        self.end_of_part(part)
        self.alternatives.append(_joined(AllSyntax, self.parts))
        self.parts = []

    def content(self, last: ConditionSyntax) -> ConditionSyntax:
        """Give all that was read, and what was read last."""
        self.end_of_alternative(last)
        return _joined(AnySyntax, self.alternatives)

    @property
    def is_plain(self) -> bool:
        """Whether nothing was read yet that makes it a condition."""
        return not (self.alternatives or self.parts or self.negations)

    def _negated(self, part: ConditionSyntax) -> ConditionSyntax:
        for _ in range(self.negations):
            part = NotSyntax(part)
        self.negations = 0
        return part


class _ConditionParser(_OperandParser):
    """OR binds least, then AND, then NOT. A parenthesis may hold a condition or an operand.

    Open parentheses are kept in a list and not on Python's stack, so that conditions may nest as deep as AWS lets them.
    """

    def whole(self) -> ConditionSyntax:
        open_ones = [_Parenthesis(-1)]
        last_pair = (-1, -1)
        while True:
            innermost = open_ones[-1]
            while self.tokens.take_keyword("NOT"):
                innermost.negations += 1
            if self._is_at_parenthesis():
                open_ones.append(_Parenthesis(self.tokens.at))
                self.tokens.advance()
                continue
            node = self._comparison(self.operand())
            while self._is_at(")") and len(open_ones) > 1:
                closed = open_ones.pop()
                is_doubled = last_pair == (closed.opened_at + 1, self.tokens.at - 1)
                self.has_redundant_parentheses |= is_doubled
                last_pair = (closed.opened_at, self.tokens.at)
                if not (closed.is_plain and isinstance(node, PathSyntax | ValueSyntax | FunctionSyntax)):
                    node = closed.content(self._condition(node))
                self.tokens.advance()
                node = self._comparison(node)
            innermost = open_ones[-1]
            condition = self._condition(node)
            if self.tokens.take_keyword("AND"):
                innermost.end_of_part(condition)
            elif self.tokens.take_keyword("OR"):
                innermost.end_of_alternative(condition)
            elif len(open_ones) == 1 and self.tokens.current.kind == "end":
                return innermost.content(condition)
            else:
                raise self.tokens.syntax_error()

    def _comparison(self, left: ConditionSyntax | OperandSyntax) -> ConditionSyntax | OperandSyntax:
        """Read on if `left` is an operand and is compared with something."""
        if not isinstance(left, PathSyntax | ValueSyntax | FunctionSyntax):
            return left
        left = self._continued(left)
        token = self.tokens.current
        if token.kind == "symbol" and token.text in _COMPARATORS:
            self.tokens.advance()
            return ComparisonSyntax(cast("Comparator", token.text), left, self.operand())
        if self.tokens.take_keyword("BETWEEN"):
            low = self.operand()
            if not self.tokens.take_keyword("AND"):
                raise self.tokens.syntax_error()
            return BetweenSyntax(left, low, self.operand())
        if self.tokens.take_keyword("IN"):
            return InSyntax(left, self._in_parentheses())
        return left

    def _condition(self, node: ConditionSyntax | OperandSyntax) -> ConditionSyntax:
        if isinstance(node, PathSyntax | ValueSyntax):
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
        operands = [operand for action in actions for operand in operands_of(action)]
        return UpdateSyntax(tuple(actions), tuple(simple_operands_of(operands)))

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


def _joined(kind: type[AllSyntax] | type[AnySyntax], parts: list[ConditionSyntax]) -> ConditionSyntax:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _check_number_of_operators(tokens: Tokens) -> None:
    """Count comparators and the words between conditions (BETWEEN by its AND); parentheses are no operators.

    AWS counts no further than 301 (Alternator, ``test_deeply_nested_expression_2``).
    """
    words = ("AND", "OR", "NOT", "IN")
    count = sum(token.text in _COMPARATORS or token.text.upper() in words for token in tokens.tokens)
    if count > MAX_OPERATORS:
        raise _too_many_operators()


def _too_many_operators() -> ExpressionProblem:
    return ExpressionProblem(f"The expression contains too many operators; operator count: {MAX_OPERATORS + 1}")


def _index(digits: str) -> int:
    """Read a place in a list. No list is as long as nine digits say."""
    return int(digits) if len(digits) <= 9 else 10**9
