"""How a SELECT is read: which parts of which partitions, or, where its condition does not say, all of the table.

A condition is taken apart into branches, one of which must hold. It is keyed if each of them says which partition;
then each is a read of its own, and they must not overlap. All of this was recorded from AWS by floci-io/floci
(``DynamoDbPartiQLEdgeCaseIntegrationTest``, eu-west-2, 2026-09-17) and paritysuite/dynamodb-conformance
(``whereOverlap.test.ts``, 2026-10).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise, product
from typing import Any

from duestream.core.attributes import key_bytes
from duestream.core.expression.conditions import (
    AllOf,
    AnyOf,
    BeginsWith,
    Between,
    Comparison,
    Condition,
    ConstantOperand,
    Not,
    OneOf,
    Operand,
    PathOperand,
)
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException

MAX_READS = 50
#: Branches beyond this are not taken apart: what says so little of its keys is read as a scan.
MAX_BRANCHES = 2000

_OVERLAPPING = "Overlapping conditions with range keys are not supported in where clause"
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class KeySchema:
    """Names and types (S, N or B) of the key that is read by: a table's, or an index's."""

    partition_key: str
    partition_key_type: str
    sort_key: str | None
    sort_key_type: str | None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Sort keys from `low` to `high` in their order-preserving form; `high` None: to the end."""

    low: bytes = b""
    low_included: bool = True
    high: bytes | None = None
    high_included: bool = True

    @property
    def is_empty(self) -> bool:
        if self.high is None or self.low < self.high:
            return False
        return self.low > self.high or not (self.low_included and self.high_included)

    def meet(self, other: "KeyRange") -> "KeyRange":
        """What is in both."""
        low, low_included = max((self.low, not self.low_included), (other.low, not other.low_included))
        ends = [(end.high, end.high_included) for end in (self, other) if end.high is not None]
        high, high_included = min(ends) if ends else (None, True)
        return KeyRange(low, not low_included, high, high_included)


@dataclass(frozen=True, slots=True)
class Read:
    """One part of one partition."""

    partition: AttributeValue
    range: KeyRange


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The reads of a keyed condition, in the order of their keys."""

    reads: tuple[Read, ...]
    #: Items that the reads find may still not be wanted.
    needs_filter: bool
    #: The one key that the condition names, with nothing else asked: None where it does not.
    single_key: dict[str, AttributeValue] | None
    #: How many partitions are named.
    partitions: int
    #: For each branch, in the order of its partition: names of the attributes that it filters by.
    filtered: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Branch:
    partitions: tuple[AttributeValue, ...] = ()
    sort: tuple[Condition, ...] = ()
    filters: tuple[Condition, ...] = ()
    is_negated: bool = False

    def with_(self, other: "_Branch") -> "_Branch":
        return _Branch(
            self.partitions + other.partitions,
            self.sort + other.sort,
            self.filters + other.filters,
            self.is_negated or other.is_negated,
        )


def plan_reads(condition: Condition | None, schema: KeySchema) -> KeyPlan | None:
    """Plan the reads of a SELECT.

    Returns:
        None: all of the table (or index) is to be read.

    Raises:
        ValidationException: the reads overlap or are too many, or a key's value is of the wrong type.
    """
    if condition is None:
        return None
    branches = _branches(condition, schema)
    if branches is None or not all(_is_keyed(branch) for branch in branches):
        return None
    for branch in branches:
        _check_types(branch, schema)
    if len(branches) > MAX_READS:
        raise ValidationException("Too many decomposed read operations for a given query.")
    branches.sort(key=lambda branch: key_bytes(branch.partitions[0]))
    reads = [Read(branch.partitions[0], _range_of(branch)) for branch in branches]
    is_negated = any(branch.is_negated for branch in branches)
    reads = _whole_partitions(reads) if is_negated else _without_overlap(reads)
    return KeyPlan(
        tuple(reads),
        needs_filter=is_negated or any(branch.filters for branch in branches),
        single_key=_single_key(branches, schema),
        partitions=len({key_bytes(branch.partitions[0]) for branch in branches}),
        filtered=tuple(_filtered_by(branch) for branch in branches),
    )


def _is_keyed(branch: _Branch) -> bool:
    return bool(branch.partitions) and all(value == branch.partitions[0] for value in branch.partitions)


# ---- taking apart --------------------------------------------------------------------------------


def _branches(condition: Condition, schema: KeySchema) -> list[_Branch] | None:
    """None: too many."""
    match condition:
        case AllOf(parts):
            return _all_of(parts, schema)
        case AnyOf(parts) if any(name in schema.names for name in attributes_of(condition)):
            branches: list[_Branch] = []
            for part in parts:
                more = _branches(part, schema)
                if more is None or len(branches) + len(more) > MAX_BRANCHES:
                    return None
                branches += more
            return branches
        case OneOf(PathOperand(path), candidates) if len(path) == 1 and path[0] in schema.names:
            return [_single(Comparison("=", condition.operand, candidate), schema) for candidate in candidates]
        case _:
            return [_single(condition, schema)]


def _all_of(parts: tuple[Condition, ...], schema: KeySchema) -> list[_Branch] | None:
    factors = []
    count = 1
    for part in parts:
        branches = _branches(part, schema)
        count *= len(branches) if branches is not None else MAX_BRANCHES + 1
        if branches is None or count > MAX_BRANCHES:
            return None
        factors.append(branches)
    combined = []
    for choice in product(*factors):
        branch = _Branch()
        for chosen in choice:
            branch = branch.with_(chosen)
        combined.append(branch)
    return combined


def _single(condition: Condition, schema: KeySchema) -> _Branch:
    match condition:
        case Comparison("=", PathOperand(path), ConstantOperand(value)) if path == (schema.partition_key,):
            return _Branch(partitions=(value,))
        case Comparison("=", ConstantOperand(value), PathOperand(path)) if path == (schema.partition_key,):
            return _Branch(partitions=(value,))
    if schema.sort_key is not None and _is_range(condition, schema.sort_key):
        return _Branch(sort=(condition,))
    is_negated = isinstance(condition, Not) or (isinstance(condition, Comparison) and condition.operator == "<>")
    return _Branch(filters=(condition,), is_negated=is_negated and schema.sort_key in set(attributes_of(condition)))


def _is_range(condition: Condition, sort_key: str) -> bool:
    match condition:
        case Comparison(operator, PathOperand(path), ConstantOperand()):
            return operator in _MIRRORED and path == (sort_key,)
        case Comparison(operator, ConstantOperand(), PathOperand(path)):
            return operator in _MIRRORED and path == (sort_key,)
        case Between(PathOperand(path), ConstantOperand(), ConstantOperand()):
            return path == (sort_key,)
        case BeginsWith(PathOperand(path), ConstantOperand()):
            return path == (sort_key,)
    return False


def attributes_of(condition: Any) -> Iterator[str]:
    """Names of the attributes that a condition asks about, as they are written."""
    for field in fields(condition):
        part = getattr(condition, field.name)
        if field.name == "path":
            yield str(part[0])
        for inner in part if isinstance(part, tuple) else (part,):
            if is_dataclass(inner):
                yield from attributes_of(inner)


# ---- ranges --------------------------------------------------------------------------------------


def _constants(condition: Condition) -> list[AttributeValue]:
    operands: tuple[Operand, ...]
    match condition:
        case Comparison(_, left, right):
            operands = (left, right)
        case Between(_, low, high):
            operands = (low, high)
        case BeginsWith(_, prefix):
            operands = (prefix,)
        case _:
            operands = ()
    return [operand.value for operand in operands if isinstance(operand, ConstantOperand)]


def _check_types(branch: _Branch, schema: KeySchema) -> None:
    named = [(schema.partition_key, schema.partition_key_type, value) for value in branch.partitions]
    for condition in branch.sort:
        named += [(str(schema.sort_key), str(schema.sort_key_type), value) for value in _constants(condition)]
    for name, expected, value in named:
        kind = next(iter(value))
        if kind not in ("S", "N", "B"):
            raise ValidationException(f"Key value must be of type S, N, or B. Key name: {name}, Key type: {kind}")
        if kind != expected:
            raise ValidationException(
                f"Key attribute's data type should match its data type in table's schema: Key {name}"
            )


def _range_of(branch: _Branch) -> KeyRange:
    found = KeyRange()
    for condition in branch.sort:
        found = found.meet(_range_of_one(condition))
    return found


def _range_of_one(condition: Condition) -> KeyRange:
    low = key_bytes(_constants(condition)[0])
    match condition:
        case BeginsWith():
            return KeyRange(low, True, _after_prefix(low), False)
        case Between():
            return KeyRange(low, True, key_bytes(_constants(condition)[1]), True)
        case Comparison(operator, left, _):
            match operator if isinstance(left, PathOperand) else _MIRRORED[operator]:
                case "=":
                    return KeyRange(low, True, low, True)
                case "<":
                    return KeyRange(high=low, high_included=False)
                case "<=":
                    return KeyRange(high=low)
                case ">":
                    return KeyRange(low, low_included=False)
                case _:
                    return KeyRange(low)
    raise AssertionError(f"{condition} is no range")


def _after_prefix(prefix: bytes) -> bytes | None:
    """The first bytes that come after everything with this prefix; None: nothing does."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _without_overlap(reads: list[Read]) -> list[Read]:
    kept = sorted(
        (read for read in reads if not read.range.is_empty),
        key=lambda read: (key_bytes(read.partition), read.range.low, not read.range.low_included),
    )
    for one, two in pairwise(kept):
        if one.partition == two.partition and not one.range.meet(two.range).is_empty:
            raise ValidationException(_OVERLAPPING)
    return kept


def _whole_partitions(reads: list[Read]) -> list[Read]:
    """Each partition once, all of it: what of it is wanted, the filter says."""
    kept: list[Read] = []
    for read in reads:
        if not kept or kept[-1].partition != read.partition:
            kept.append(Read(read.partition, KeyRange()))
    return kept


def _single_key(branches: list[_Branch], schema: KeySchema) -> dict[str, AttributeValue] | None:
    if len(branches) != 1 or branches[0].filters:
        return None
    (branch,) = branches
    key = {schema.partition_key: branch.partitions[0]}
    if schema.sort_key is None:
        return key
    values = [_constants(condition)[0] for condition in branch.sort]
    is_point = all(isinstance(condition, Comparison) and condition.operator == "=" for condition in branch.sort)
    if not values or not is_point or any(value != values[0] for value in values):
        return None
    return key | {schema.sort_key: values[0]}


def _filtered_by(branch: _Branch) -> tuple[str, ...]:
    """In the order they are written where one condition names them all, else in the order of their names."""
    names = list(dict.fromkeys(name for condition in branch.filters for name in attributes_of(condition)))
    return tuple(names if len(branch.filters) == 1 else sorted(names))
