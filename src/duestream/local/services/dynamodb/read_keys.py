"""What a Query or Scan goes by: the keys of the table or of an index, and the part of them that is asked for.

Texts and order: dynalite's tests (``test/query.js``); of keys of several attributes: paritysuite/
dynamodb-conformance (``multiAttributeGsiKey``, eu-west-2, 2026-10).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duestream.core.attributes import key_bytes
from duestream.core.expression import SortCondition
from duestream.core.expression.keys import key_condition_of
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException
from duestream.local.store import items
from duestream.local.store.indexes import Index, KeyAttribute, closed_part, open_part
from duestream.local.store.items import SortRange
from duestream.local.store.tables import Table


@dataclass(frozen=True, slots=True)
class ReadKey:
    """The attributes that a read goes by; several of a kind only in a global index."""

    partition: tuple[KeyAttribute, ...]
    sort: tuple[KeyAttribute, ...]

    @classmethod
    def of(cls, table: Table, index: Index | None) -> "ReadKey":
        """The key of the index, or of the table."""
        if index is not None:
            return cls(index.partition, index.sort)
        partition = (KeyAttribute(table.partition_key, table.partition_key_type),)
        return cls(
            partition, () if table.sort_key is None else (KeyAttribute(table.sort_key, str(table.sort_key_type)),)
        )

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        """All of them, in the order of the key schema."""
        return self.partition + self.sort


@dataclass(frozen=True, slots=True)
class KeyDemand:
    """What a Query demands of a key.

    `equal` are the values of leading sort attributes, where there are several; `sort` is the demand on the next one.
    """

    partition: tuple[AttributeValue, ...]
    equal: tuple[AttributeValue, ...]
    sort: SortCondition | None


def demand_of(demands: Mapping[str, SortCondition], key: ReadKey) -> KeyDemand:
    """Tell which demand is on which attribute of the key.

    Raises:
        ValidationException: they are none that the key can be looked up by.
    """
    if len(key.attributes) > 2 or len(key.partition) > 1:
        return _demand_of_several(demands, key)
    sort = key.sort[0] if key.sort else None
    condition = key_condition_of(
        demands, partition_key=key.partition[0].name, sort_key=None if sort is None else sort.name
    )
    condition.check_types(partition_key_type=key.partition[0].kind, sort_key_type=None if sort is None else sort.kind)
    return KeyDemand((condition.partition,), (), condition.sort)


def _demand_of_several(demands: Mapping[str, SortCondition], key: ReadKey) -> KeyDemand:
    most = len(key.attributes)
    if len(demands) > most:
        raise ValidationException(
            f"The number of query conditions ({len(demands)}) exceeds "
            f"the number of key attributes defined in the schema ({most})"
        )
    for attribute in key.partition:
        if attribute.name not in demands:
            raise ValidationException(f"Query condition missed key schema element: {attribute.name}")
        if demands[attribute.name].operator != "=":
            raise ValidationException("Query key condition not supported")
    if any(name not in {attribute.name for attribute in key.attributes} for name in demands):
        raise ValidationException("Query key condition not supported")
    last = max((place for place, attribute in enumerate(key.sort) if attribute.name in demands), default=-1)
    leading = key.sort[: max(last, 0)]
    loose = [one.name for one in leading if one.name not in demands or demands[one.name].operator != "="]
    if loose:
        raise ValidationException(
            f"RANGE key attributes {', '.join(loose)} must have equality conditions specified in the query because "
            f"a condition is present on key attribute {key.sort[last].name}"
        )
    for attribute in key.attributes:
        demand = demands.get(attribute.name)
        if demand is not None and any(attribute.kind not in value for value in demand.values):
            raise ValidationException(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )
    return KeyDemand(
        tuple(demands[attribute.name].values[0] for attribute in key.partition),
        tuple(demands[attribute.name].values[0] for attribute in leading),
        demands[key.sort[last].name] if last >= 0 else None,
    )


# Bytes --------------------------------------------------------------------------------------------------


def partition_bytes(key: ReadKey, values: Sequence[AttributeValue]) -> bytes:
    """The partition key that a Query asks for.

    Raises:
        ValidationException: a value is empty or too long.
    """
    parts = [
        items.partition_part(value, attribute.name, attribute.kind)
        for attribute, value in zip(key.partition, values, strict=True)
    ]
    return parts[0] if len(parts) == 1 else b"".join(map(closed_part, parts))


def sort_range(key: ReadKey, demand: KeyDemand) -> SortRange:
    """Which sort keys a Query asks for.

    Raises:
        ValidationException: a value is empty: ``sk > ""`` is refused on AWS too, as getmoto/moto#7065 and a public
            note on a log of AWS (``sk > :after``, 2026-08-05) tell.
    """
    for attribute, value in zip(key.sort, demand.equal, strict=False):
        items.refuse_empty(value, attribute.name, attribute.kind)
    if demand.sort is not None:
        asked = key.sort[len(demand.equal)]
        for value in demand.sort.values:
            items.refuse_empty(value, asked.name, asked.kind)
    if len(key.sort) < 2:
        return SortRange() if demand.sort is None else _range_of_one(demand.sort)
    stem = b"".join(closed_part(key_bytes(value)) for value in demand.equal)
    low, low_included, high, high_included = _range_of_part(demand.sort)
    start, end = stem + low, _after_prefix(stem) if high is None else stem + high
    return SortRange(start, low_included, end, high_included if high is not None else False)


def _range_of_one(condition: SortCondition) -> SortRange:
    low = key_bytes(condition.values[0])
    match condition.operator:
        case "=":
            return SortRange(low, True, low, True)
        case "<":
            return SortRange(high=low, high_included=False)
        case "<=":
            return SortRange(high=low)
        case ">":
            return SortRange(low, low_included=False)
        case ">=":
            return SortRange(low)
        case "BETWEEN":
            return SortRange(low, True, key_bytes(condition.values[1]), True)
        case _:
            return SortRange(low, True, _after_prefix(low), False)


def _range_of_part(condition: SortCondition | None) -> tuple[bytes, bool, bytes | None, bool]:
    """The range of one part of a key of several, what follows it being free; ends are never included above."""
    if condition is None:
        return b"", True, None, False
    low = closed_part(key_bytes(condition.values[0]))
    match condition.operator:
        case "=":
            return low, True, _after_prefix(low), False
        case "<":
            return b"", True, low, False
        case "<=":
            return b"", True, _after_prefix(low), False
        case ">":
            return _after_prefix(low) or low, True, None, False
        case ">=":
            return low, True, None, False
        case "BETWEEN":
            return low, True, _after_prefix(closed_part(key_bytes(condition.values[1]))), False
        case _:
            beginning = open_part(key_bytes(condition.values[0]))
            return beginning, True, _after_prefix(beginning), False


def _after_prefix(prefix: bytes) -> bytes | None:
    """The first bytes that come after everything with this prefix; None: nothing does."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
