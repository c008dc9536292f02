"""Read the terms of a statement: paths, literals, calls and conditions. Recursive descent by precedence."""

from collections.abc import Callable
from typing import Literal

from duestream.core.expression.paths import Path
from duestream.core.partiql.keywords import KEYWORDS
from duestream.core.partiql.lexer import Token, Tokens, malformed
from duestream.core.partiql.syntax import (
    BagTerm,
    BetweenTerm,
    CallTerm,
    ConstantTerm,
    InfixTerm,
    IsTerm,
    JoinTerm,
    ListTerm,
    NotTerm,
    NumberTerm,
    ParameterTerm,
    PathTerm,
    SignTerm,
    StringTerm,
    StructTerm,
    Term,
)
from duestream.errors import ValidationException

#: How deep terms may nest: more than any statement of 8,192 characters that DynamoDB carries out, and less than
#: what the interpreter's stack holds.
MAX_NESTING = 60
MAX_LIST_INDEX = 2**31 - 1

_TOO_DEEP = "Too many nested terms"
_COMPARATORS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_INFIX_WORDS = ("IS", "LIKE", "IN", "BETWEEN", "AND", "OR")
_INFIX_SYMBOLS = (*_COMPARATORS, "*", "/", "%", "||", ".", ":")
#: Keywords that are the names of functions all the same.
_FUNCTION_KEYWORDS = frozenset({"SIZE", "EXISTS", "COUNT", "SUM", "AVG", "MIN", "MAX", "CHAR_LENGTH", "UPPER", "LOWER"})
#: What may stand after IS, from the PartiQL specification.
_TYPE_NAMES = frozenset(
    """
    MISSING NULL BOOL BOOLEAN SMALLINT INTEGER INT INT2 INT4 INT8 FLOAT REAL DECIMAL NUMERIC TIMESTAMP DATE TIME
    CHAR VARCHAR STRING SYMBOL CLOB BLOB STRUCT TUPLE LIST SEXP BAG ANY DOUBLE CHARACTER
    """.split()  # noqa: SIM905 - a list would take a line for each of them
)


class TermParser:
    """Reads terms off the tokens; a statement's parser uses it for all that is not its own clauses."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._depth = 0

    # ---- by precedence ---------------------------------------------------------------------------

    def condition(self) -> Term:
        """A whole condition: what binds weakest first."""
        return self._joined("OR", self._conjunction)

    def _conjunction(self) -> Term:
        return self._joined("AND", self._negation)

    def _joined(self, keyword: Literal["AND", "OR"], read_part: Callable[[], Term]) -> Term:
        parts = [read_part()]
        while self.tokens.is_keyword(keyword):
            self.tokens.advance()
            self._check_right_side()
            parts.append(read_part())
        return parts[0] if len(parts) == 1 else JoinTerm(keyword, tuple(parts))

    def _negation(self) -> Term:
        if self.tokens.is_keyword("NOT"):
            token = self.tokens.advance()
            self._enter()
            part = self._negation()
            self._depth -= 1
            return NotTerm(part, token.place)
        return self._comparison()

    def _comparison(self) -> Term:
        term = self.arithmetic()
        for _ in range(MAX_NESTING):
            token = self.tokens.current
            if self.tokens.is_symbol(*_COMPARATORS):
                self.tokens.advance()
                self._check_right_side()
                operator = "<>" if token.text == "!=" else token.text
                term = InfixTerm(operator, term, self.arithmetic(), token.place)
            elif token.upper == "NOT" and self.tokens.following.upper in ("IN", "BETWEEN", "LIKE"):
                self.tokens.advance()
                term = NotTerm(self._by_word(term), token.place)
            elif token.upper in ("IS", "IN", "BETWEEN", "LIKE"):
                term = self._by_word(term)
            else:
                return term
        raise malformed(_TOO_DEEP)

    def _by_word(self, term: Term) -> Term:
        token = self.tokens.advance()
        match token.upper:
            case "IS":
                is_negated = self.tokens.take_keyword("NOT")
                test = IsTerm(term, self._type_name(), token.place)
                return NotTerm(test, token.place) if is_negated else test
            case "BETWEEN":
                self._check_right_side()
                low = self.arithmetic()
                if not self.tokens.take_keyword("AND"):
                    raise malformed("Expected AND after BETWEEN")
                self._check_right_side()
                return BetweenTerm(term, low, self.arithmetic(), token.place)
            case operator:
                self._check_right_side()
                return InfixTerm(operator, term, self.arithmetic(), token.place)

    def _type_name(self) -> str:
        name = self.tokens.current.upper
        if name not in _TYPE_NAMES:
            raise malformed("Expected type name")
        self.tokens.advance()
        if name in ("DOUBLE", "CHARACTER"):
            self.tokens.take_keyword("PRECISION" if name == "DOUBLE" else "VARYING")
        return name

    def arithmetic(self) -> Term:
        """Operands joined by ``+`` and ``-``."""
        term = self._signed()
        for _ in range(MAX_NESTING):
            if not self.tokens.is_symbol("+", "-", "*", "/", "%", "||"):
                return term
            token = self.tokens.advance()
            self._check_right_side()
            term = InfixTerm(token.text, term, self._signed(), token.place)
        raise malformed(_TOO_DEEP)

    def _signed(self) -> Term:
        if not self.tokens.is_symbol("+", "-"):
            return self._primary()
        token = self.tokens.advance()
        self._enter()
        term = self._signed()
        self._depth -= 1
        if not isinstance(term, NumberTerm):
            return SignTerm(term, token.place)
        if token.text == "+":
            return term
        return NumberTerm(term.text[1:] if term.text[0] == "-" else "-" + term.text, term.place)

    def _check_right_side(self) -> None:
        if self.tokens.is_at_end:
            raise malformed("Missing right-hand side expression of infix operator")

    # ---- single terms ----------------------------------------------------------------------------

    def _primary(self) -> Term:
        token = self.tokens.current
        self._enter()
        try:
            match token.kind:
                case "number":
                    self.tokens.advance()
                    return NumberTerm(token.text, token.place)
                case "string":
                    self.tokens.advance()
                    return StringTerm(token.text, token.place)
                case "parameter":
                    self.tokens.advance()
                    self.tokens.parameters += 1
                    return ParameterTerm(self.tokens.parameters - 1, token.place)
                case "symbol":
                    return self._collection(token)
                case "word" | "quoted":
                    return self._named(token)
                case _:
                    raise malformed("Unexpected term")
        finally:
            self._depth -= 1

    def _collection(self, token: Token) -> Term:
        match token.text:
            case "[":
                return ListTerm(self._members("[", "]"), token.place)
            case "<<":
                return BagTerm(self._members("<<", ">>"), token.place)
            case "{":
                return self.struct()
            case "(":
                return self._parenthesized(token)
            case text if text in _INFIX_SYMBOLS:
                raise malformed("Unexpected operator")
            case _:
                raise malformed("Unexpected term")

    def _parenthesized(self, token: Token) -> Term:
        """A term in parentheses, or several: a list, as after IN."""
        self.tokens.advance()
        first = self.condition()
        if not self.tokens.is_symbol(","):
            self._expect(")")
            return first
        members = [first]
        while self.tokens.take_symbol(","):
            members.append(self.condition())
        self._expect(")")
        return ListTerm(tuple(members), token.place)

    def _members(self, opening: str, closing: str) -> tuple[Term, ...]:
        self.tokens.take_symbol(opening)
        if self.tokens.take_symbol(closing):
            return ()
        members = [self.condition()]
        while self.tokens.take_symbol(","):
            members.append(self.condition())
        self._expect(closing)
        return tuple(members)

    def struct(self) -> StructTerm:
        """``{'name': value, ...}``"""
        token = self.tokens.advance()
        members: list[tuple[str, Term]] = []
        while not self.tokens.take_symbol("}"):
            if members and not self.tokens.take_symbol(","):
                raise malformed("Expected , or }")
            name = self.tokens.advance()
            if name.kind != "string" or not self.tokens.take_symbol(":"):
                raise malformed("Expected a name and a colon in a struct")
            members.append((name.text, self.condition()))
        return StructTerm(tuple(members), token.place)

    def _named(self, token: Token) -> Term:
        word = token.upper
        if word in ("TRUE", "FALSE", "NULL", "MISSING"):
            self.tokens.advance()
            return ConstantTerm(word == "TRUE" if word in ("TRUE", "FALSE") else None, word == "MISSING", token.place)
        is_call = self.tokens.following.kind == "symbol" and self.tokens.following.text == "("
        if token.kind == "word" and is_call and (word not in KEYWORDS or word in _FUNCTION_KEYWORDS):
            self.tokens.advance()
            return CallTerm(token.text.lower(), self._members("(", ")"), token.place)
        if word in _INFIX_WORDS:
            raise malformed("Unexpected operator")
        if not token.is_name:
            raise malformed("Unexpected keyword")
        return self.path()

    # ---- paths -----------------------------------------------------------------------------------

    def path(self) -> PathTerm:
        """``a.b[1]."c"``"""
        token = self.tokens.current
        if not token.is_name:
            raise malformed("Expected identifier for simple path")
        self.tokens.advance()
        steps: Path = (token.text,)
        while True:
            if self.tokens.take_symbol("."):
                if not self.tokens.current.is_name:
                    raise malformed("Invalid path dot component")
                steps = (*steps, self.tokens.advance().text)
            elif self.tokens.take_symbol("["):
                steps = (*steps, self._bracketed())
            else:
                return PathTerm(steps, token.place)

    def _bracketed(self) -> str | int:
        is_negative = False
        while self.tokens.is_symbol("+", "-"):
            is_negative ^= self.tokens.advance().text == "-"
        token = self.tokens.advance()
        step: str | int
        if token.kind == "string" and not is_negative:
            step = token.text
        elif token.kind == "number" and token.text.isdigit():
            step = -int(token.text) if is_negative else int(token.text)
            if not 0 <= step <= MAX_LIST_INDEX:
                raise ValidationException(
                    f"List index is not within the allowable range; index: [{step}] at {token.place}"
                )
        else:
            raise malformed("Unexpected path component")
        self._expect("]")
        return step

    def _expect(self, symbol: str) -> None:
        if not self.tokens.take_symbol(symbol):
            raise malformed(f"Expected {symbol}")

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise malformed(_TOO_DEEP)
