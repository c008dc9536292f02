"""Read a PartiQL statement: SELECT, INSERT, UPDATE (also with FROM first), DELETE, EXISTS(SELECT ...).

Sources: Developer Guide, "PartiQL - a SQL-compatible query language for Amazon DynamoDB"; the texts of the errors
were recorded from AWS by paritysuite/dynamodb-conformance (``partiqlGrammar.test.ts``, 2026-10) and, for what the
guide does not show, by floci-io/floci (``DynamoDbPartiQLEdgeCaseIntegrationTest``, eu-west-2, 2026-09-17).
"""

from functools import lru_cache
from typing import cast

from duestream.core.partiql.lexer import Token, Tokens, malformed, tokenize
from duestream.core.partiql.syntax import (
    Assignment,
    DeleteSyntax,
    InsertSyntax,
    IsTerm,
    PathTerm,
    Returning,
    SelectSyntax,
    Source,
    Statement,
    Term,
    UpdateSyntax,
)
from duestream.core.partiql.terms import TermParser
from duestream.errors import ValidationException

CACHED_STATEMENTS = 1024
MAX_SOURCE_COMPONENTS = 2


@lru_cache(maxsize=CACHED_STATEMENTS)
def parse_statement(text: str) -> Statement:
    """Read one statement.

    Raises:
        ValidationException: it is not well formed, or asks for what DynamoDB does not do; AWS's text.
    """
    parser = _StatementParser(tokenize(text))
    statement = parser.statement()
    if parser.is_aliased:
        raise ValidationException("Aliasing is not supported")
    _check_source(statement)
    return statement


class _StatementParser:
    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.terms = TermParser(tokens)
        self.is_aliased = False
        self._problem: ValidationException | None = None

    def statement(self) -> Statement:
        statement = self._by_first_word()
        self.tokens.take_symbol(";")
        if self.tokens.current.kind != "end":
            raise malformed("Unexpected token after expression")
        if self._problem is not None:
            raise self._problem
        return statement

    def _by_first_word(self) -> Statement:
        match self.tokens.current.upper:
            case "SELECT":
                return self._select(is_condition=False)
            case "INSERT":
                return self._insert()
            case "UPDATE":
                self.tokens.advance()
                return self._update(self._target())
            case "DELETE":
                return self._delete()
            case "FROM":
                self.tokens.advance()
                return self._from_first()
            case "EXISTS" if self.tokens.following.text == "(":
                return self._exists()
            case _:
                raise self._no_statement()

    def _no_statement(self) -> ValidationException:
        """A bare term is refused by what it is; nearly always it is a misspelt first word."""
        if self.tokens.is_at_end:
            return malformed("Unexpected term")
        if self.tokens.current.is_name and self.tokens.following.upper == "IS":
            term = self.terms.condition()
            if self.tokens.is_at_end and isinstance(term, IsTerm):
                return ValidationException("Unsupported operation: IsType")
        return malformed("Expected data manipulation")

    # ---- SELECT ----------------------------------------------------------------------------------

    def _select(self, *, is_condition: bool) -> SelectSyntax:
        self.tokens.advance()
        projection = self._projection()
        if not self.tokens.take_keyword("FROM"):
            raise malformed("Expected FROM")
        if self.tokens.is_at_end:
            raise malformed("Unexpected term")
        source = self._source()
        where = self._where()
        order_by: list[tuple[str, bool]] = []
        if self.tokens.take_keyword("ORDER", "BY"):
            order_by.append(self._ordering())
            while self.tokens.take_symbol(","):
                order_by.append(self._ordering())
        if self.tokens.is_keyword("LIMIT"):
            raise ValidationException("Unsupported clause: LIMIT")
        return SelectSyntax(source, projection, where, tuple(order_by), is_condition, self.tokens.parameters)

    def _projection(self) -> tuple[PathTerm, ...] | None:
        paths: list[PathTerm] = []
        has_star = False
        while True:
            if self.tokens.take_symbol("*"):
                has_star = True
            else:
                paths.extend(self._projected())
            self._skip_alias("FROM")
            if not self.tokens.take_symbol(","):
                break
        if has_star and paths:
            self._complain("Other attributes should not be present in the projection when '*' is used.")
        names = [column_name(path) for path in paths]
        for number, name in enumerate(names):
            if name in names[:number]:
                self._complain(f"Duplicate identifiers in select clause: {name}")
        return None if has_star else tuple(paths)

    def _projected(self) -> list[PathTerm]:
        """One path. Anything else is named where it stands, unless the rest cannot be read either."""
        token = self.tokens.current
        following = self.tokens.following
        if token.kind == "word" and following.kind == "symbol" and following.text == "(":
            self._skip_call(token)
            return []
        term = self.terms.arithmetic()
        if isinstance(term, PathTerm):
            return [term]
        self._complain(f"Unexpected path component at {token.place}")
        return []

    def _skip_call(self, token: Token) -> None:
        depth = 0
        self.tokens.advance()
        while self.tokens.current.kind != "end":
            skipped = self.tokens.advance()
            depth += (skipped.text == "(") - (skipped.text == ")") if skipped.kind == "symbol" else 0
            if not depth:
                break
        self._complain(f"Unexpected path component at {token.place}")

    def _ordering(self) -> tuple[str, bool]:
        path = self.terms.path()
        if len(path.path) > 1:
            self._complain(f"Attribute {column_name(path)} in ORDER BY clause must be part of the primary key")
        is_descending = self.tokens.take_keyword("DESC")
        if not is_descending:
            self.tokens.take_keyword("ASC")
        return str(path.path[0]), is_descending

    def _exists(self) -> SelectSyntax:
        self.tokens.advance()
        self.tokens.advance()
        if not self.tokens.is_keyword("SELECT"):
            raise malformed("Unexpected term")
        condition = self._select(is_condition=True)
        if not self.tokens.take_symbol(")"):
            raise malformed("Expected )")
        return condition

    # ---- what writes -----------------------------------------------------------------------------

    def _insert(self) -> InsertSyntax:
        self.tokens.advance()
        if not self.tokens.take_keyword("INTO"):
            raise malformed("Expected INTO")
        source = self._path_of_source()
        if not self.tokens.take_keyword("VALUE"):
            raise malformed("Unexpected token after expression")
        return InsertSyntax(source, self.terms.condition(), self.tokens.parameters)

    def _update(self, source: Source) -> UpdateSyntax:
        assignments = self._assignments()
        where = self._where()
        return UpdateSyntax(source, assignments, where, self._returning(), self.tokens.parameters)

    def _from_first(self) -> UpdateSyntax:
        source = self._target()
        where = self._where()
        assignments = self._assignments()
        return UpdateSyntax(source, assignments, where, self._returning(), self.tokens.parameters)

    def _assignments(self) -> tuple[Assignment, ...]:
        assignments: list[Assignment] = []
        while self.tokens.is_keyword("SET", "REMOVE"):
            is_set = self.tokens.advance().upper == "SET"
            assignments.append(self._assignment(is_set=is_set))
            while self.tokens.take_symbol(","):
                assignments.append(self._assignment(is_set=is_set))
        if not assignments:
            raise malformed("Expected data manipulation")
        return tuple(assignments)

    def _assignment(self, *, is_set: bool) -> Assignment:
        path = self.terms.path()
        if not is_set:
            return Assignment(path, None)
        if not self.tokens.take_symbol("="):
            raise malformed("Expected = in an assignment")
        return Assignment(path, self.terms.arithmetic())

    def _delete(self) -> DeleteSyntax:
        self.tokens.advance()
        if not self.tokens.take_keyword("FROM"):
            raise malformed("Expected FROM")
        source = self._target()
        where = self._where()
        return DeleteSyntax(source, where, self._returning(), self.tokens.parameters)

    def _returning(self) -> Returning | None:
        if not self.tokens.take_keyword("RETURNING"):
            return None
        what, when = self.tokens.advance().upper, self.tokens.advance().upper
        if what not in ("ALL", "MODIFIED") or when not in ("OLD", "NEW") or not self.tokens.take_symbol("*"):
            raise malformed("Expected ALL or MODIFIED, OLD or NEW, and * after RETURNING")
        return cast("Returning", f"{what} {when}")

    # ---- tables and conditions -------------------------------------------------------------------

    def _target(self) -> Source:
        source = self._path_of_source()
        self._skip_alias("SET", "REMOVE", "WHERE", "RETURNING", "ORDER")
        return source

    def _source(self) -> Source:
        token = self.tokens.current
        if not token.is_name:
            raise malformed("Unexpected keyword" if token.kind == "word" else "Unexpected term")
        return self._target()

    def _path_of_source(self) -> Source:
        path = self.terms.path()
        if not all(isinstance(step, str) for step in path.path):
            raise malformed("Unexpected path component")
        return Source(tuple(str(step) for step in path.path))

    def _skip_alias(self, *keywords: str) -> None:
        if self.tokens.take_keyword("AS") or (self.tokens.current.is_name and not self.tokens.is_keyword(*keywords)):
            if not self.tokens.current.is_name:
                raise malformed("Expected identifier for alias")
            self.tokens.advance()
            self.is_aliased = True

    def _where(self) -> Term | None:
        return self.terms.condition() if self.tokens.take_keyword("WHERE") else None

    def _complain(self, text: str) -> None:
        """Keep the first complaint about a statement that is well formed; whether it is shows at its end."""
        self._problem = self._problem or ValidationException(text)


def column_name(path: PathTerm) -> str:
    """What an attribute of a SELECT's answer is called: the path's last name, with the places that follow it."""
    at = max(number for number, step in enumerate(path.path) if isinstance(step, str))
    return str(path.path[at]) + "".join(f"[{step}]" for step in path.path[at + 1 :])


def _check_source(statement: Statement) -> None:
    components = statement.source.components
    if "" in components:
        raise ValidationException("Path component cannot be an empty string")
    if isinstance(statement, InsertSyntax) and len(components) > 1:
        raise ValidationException("FROM clause may only contain a single table name")
    if len(components) > MAX_SOURCE_COMPONENTS:
        raise ValidationException("A path may contain at most 2 components in the FROM clause")
