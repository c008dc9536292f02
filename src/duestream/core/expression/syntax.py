"""What expressions are made of, as written: placeholders are not looked up yet. Values, so they are cached by text."""

from dataclasses import dataclass
from typing import Literal

Comparator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class PathSyntax:
    """A document path. Steps are names, placeholders of names (``#n``), and places in lists."""

    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ValueSyntax:
    """A placeholder of a value, with its colon."""

    placeholder: str


@dataclass(frozen=True, slots=True)
class FunctionSyntax:
    """A call, whether or not such a function exists."""

    name: str
    arguments: tuple["OperandSyntax", ...]


OperandSyntax = PathSyntax | ValueSyntax | FunctionSyntax


@dataclass(frozen=True, slots=True)
class ComparisonSyntax:
    operator: Comparator
    left: OperandSyntax
    right: OperandSyntax


@dataclass(frozen=True, slots=True)
class BetweenSyntax:
    operand: OperandSyntax
    low: OperandSyntax
    high: OperandSyntax


@dataclass(frozen=True, slots=True)
class InSyntax:
    operand: OperandSyntax
    candidates: tuple[OperandSyntax, ...]


@dataclass(frozen=True, slots=True)
class NotSyntax:
    part: "ConditionSyntax"


@dataclass(frozen=True, slots=True)
class AllSyntax:
    """Parts joined by AND."""

    parts: tuple["ConditionSyntax", ...]


@dataclass(frozen=True, slots=True)
class AnySyntax:
    """Parts joined by OR."""

    parts: tuple["ConditionSyntax", ...]


LeafSyntax = ComparisonSyntax | BetweenSyntax | InSyntax | FunctionSyntax
ConditionSyntax = LeafSyntax | NotSyntax | AllSyntax | AnySyntax


@dataclass(frozen=True, slots=True)
class ArithmeticSyntax:
    """The sum or the difference in a SET action."""

    operator: Literal["+", "-"]
    left: OperandSyntax
    right: OperandSyntax


@dataclass(frozen=True, slots=True)
class SetSyntax:
    path: PathSyntax
    value: OperandSyntax | ArithmeticSyntax


@dataclass(frozen=True, slots=True)
class RemoveSyntax:
    path: PathSyntax


@dataclass(frozen=True, slots=True)
class AddSyntax:
    path: PathSyntax
    value: ValueSyntax


@dataclass(frozen=True, slots=True)
class DeleteSyntax:
    path: PathSyntax
    value: ValueSyntax


ActionSyntax = SetSyntax | RemoveSyntax | AddSyntax | DeleteSyntax


@dataclass(frozen=True, slots=True)
class UpdateSyntax:
    """All actions in the order they are written."""

    actions: tuple[ActionSyntax, ...]
    #: Paths and placeholders of values, also those within functions, in the order they are written.
    simple_operands: tuple[PathSyntax | ValueSyntax, ...]


@dataclass(frozen=True, slots=True)
class ProjectionSyntax:
    paths: tuple[PathSyntax, ...]
