"""What PartiQL statements are made of, as written: parameters are not put in yet, no table is known."""

from dataclasses import dataclass
from typing import Literal

from duestream.core.expression.paths import Path


@dataclass(frozen=True, slots=True)
class PathTerm:
    """A document path."""

    path: Path
    place: str


@dataclass(frozen=True, slots=True)
class NumberTerm:
    """A number literal, its sign included."""

    text: str
    place: str


@dataclass(frozen=True, slots=True)
class StringTerm:
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class ConstantTerm:
    """``true``, ``false``, ``null`` or ``missing``."""

    value: bool | None
    is_missing: bool
    place: str


@dataclass(frozen=True, slots=True)
class ParameterTerm:
    """``?``; `index` counts from 0."""

    index: int
    place: str


@dataclass(frozen=True, slots=True)
class ListTerm:
    """``[...]``, or ``(...)`` after IN."""

    members: tuple["Term", ...]
    place: str


@dataclass(frozen=True, slots=True)
class StructTerm:
    """``{'name': value, ...}``"""

    members: tuple[tuple[str, "Term"], ...]
    place: str


@dataclass(frozen=True, slots=True)
class BagTerm:
    """``<<...>>``"""

    members: tuple["Term", ...]
    place: str


@dataclass(frozen=True, slots=True)
class CallTerm:
    """A call, whether or not such a function exists; `name` is in small letters."""

    name: str
    arguments: tuple["Term", ...]
    place: str


@dataclass(frozen=True, slots=True)
class JoinTerm:
    """Conditions joined by AND or OR: in a row, not in one another, so that a long row does not nest."""

    operator: Literal["AND", "OR"]
    parts: tuple["Term", ...]


@dataclass(frozen=True, slots=True)
class InfixTerm:
    """Two terms and what stands between them: ``= <> < <= > >= + - IN LIKE ...``"""

    operator: str
    left: "Term"
    right: "Term"
    place: str


@dataclass(frozen=True, slots=True)
class BetweenTerm:
    operand: "Term"
    low: "Term"
    high: "Term"
    place: str


@dataclass(frozen=True, slots=True)
class NotTerm:
    part: "Term"
    place: str


@dataclass(frozen=True, slots=True)
class SignTerm:
    """A sign before something that is no number."""

    part: "Term"
    place: str


@dataclass(frozen=True, slots=True)
class IsTerm:
    """``operand IS TYPE``"""

    operand: "Term"
    type_name: str
    place: str


Term = (
    PathTerm
    | NumberTerm
    | StringTerm
    | ConstantTerm
    | ParameterTerm
    | ListTerm
    | StructTerm
    | BagTerm
    | CallTerm
    | JoinTerm
    | InfixTerm
    | BetweenTerm
    | NotTerm
    | SignTerm
    | IsTerm
)

#: ``ALL OLD``, ``MODIFIED OLD``, ``ALL NEW`` or ``MODIFIED NEW``.
Returning = Literal["ALL OLD", "MODIFIED OLD", "ALL NEW", "MODIFIED NEW"]


@dataclass(frozen=True, slots=True)
class Source:
    """The table that a statement names, and the index of it, if any."""

    components: tuple[str, ...]

    @property
    def table_name(self) -> str:
        return self.components[0]

    @property
    def index_name(self) -> str | None:
        return self.components[1] if len(self.components) > 1 else None


@dataclass(frozen=True, slots=True)
class SelectSyntax:
    source: Source
    #: None: ``*``.
    projection: tuple[PathTerm, ...] | None
    where: Term | None
    #: Attribute and whether it goes down.
    order_by: tuple[tuple[str, bool], ...]
    #: Of an ``EXISTS(SELECT ...)``.
    is_condition: bool
    parameters: int


@dataclass(frozen=True, slots=True)
class InsertSyntax:
    source: Source
    value: Term
    parameters: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """``SET path = value``; without a value, ``REMOVE path``."""

    path: PathTerm
    value: Term | None


@dataclass(frozen=True, slots=True)
class UpdateSyntax:
    source: Source
    assignments: tuple[Assignment, ...]
    where: Term | None
    returning: Returning | None
    parameters: int


@dataclass(frozen=True, slots=True)
class DeleteSyntax:
    source: Source
    where: Term | None
    returning: Returning | None
    parameters: int


Statement = SelectSyntax | InsertSyntax | UpdateSyntax | DeleteSyntax
