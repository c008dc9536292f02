"""ExclusiveStartKey: the key of the table and, where an index is read, the index's.

Texts and order: dynalite's tests (``test/query.js``, ``test/scan.js``), recorded from AWS. A Scan's key of other
attributes is refused in short since September 2026 (paritysuite/dynamodb-conformance, ``error-messages/scan``).
"""

from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.read_keys import KeyDemand, ReadKey
from duestream.local.services.dynamodb.read_parameters import INVALID_START
from duestream.local.store import items
from duestream.local.store.index_pages import Place
from duestream.local.store.indexes import Index, entry_key
from duestream.local.store.items import Key
from duestream.local.store.tables import Table

_NO_MATCH = "The provided key element does not match the schema"


def start_names(table: Table, index: Index | None) -> tuple[str, ...]:
    """Names of the attributes that a start key has: the table's, then those that only the index goes by."""
    if index is None:
        return table.key_names
    return tuple(dict.fromkeys((*table.key_names, *(attribute.name for attribute in index.key_attributes))))


def check_start_key(table: Table, index: Index | None, start_key: Item, read_key: ReadKey) -> None:
    """Refuse a start key that is none of what is read by.

    Raises:
        ValidationException: attributes are missing or too many, or one has another type.
    """
    if len(start_key) != len(start_names(table, index)):
        raise ValidationException(INVALID_START)
    for attribute in read_key.attributes:
        value = start_key.get(attribute.name)
        if value is None:
            raise ValidationException(INVALID_START)
        if attribute.kind not in value:
            raise ValidationException(_NO_MATCH)


def table_key(table: Table, start_key: Item) -> Key:
    """The table's part of a start key.

    Raises:
        ValidationException: it does not match the table's key, or a part is empty or too long.
    """
    types = (table.partition_key_type, table.sort_key_type)
    for name, kind in zip(table.key_names, types, strict=False):
        if kind not in start_key.get(name, ()):
            raise ValidationException(f"{INVALID_START}: {_NO_MATCH}")
    return items.key_of_key(table, {name: start_key[name] for name in table.key_names})


def scan_start(table: Table, start_key: Item) -> Key:
    """Where a Scan of a table goes on."""
    if start_key.keys() != set(table.key_names):
        raise ValidationException(INVALID_START)
    return table_key(table, start_key)


def index_place(table: Table, index: Index, start_key: Item) -> Place:
    """Where a read of an index goes on."""
    key, item_key = entry_key(index, start_key), table_key(table, start_key)
    if key is None:  # an empty value, or a longer one than the index can hold
        raise ValidationException(INVALID_START)
    return Place(*key, *item_key)


def check_within(demand: KeyDemand, read_key: ReadKey, start_key: Item) -> None:
    """Refuse to go on where a Query does not look."""
    if demand.sort is not None:
        asked = read_key.sort[len(demand.equal)].name
        equal = zip(read_key.sort, demand.equal, strict=False)
        if any(start_key[one.name] != value for one, value in equal) or not demand.sort.holds(start_key[asked]):
            raise ValidationException("The provided starting key does not match the range key predicate")
    if any(start_key[one.name] != value for one, value in zip(read_key.partition, demand.partition, strict=True)):
        if demand.sort is not None:
            raise ValidationException("The query can return at most one row and cannot be restarted")
        raise ValidationException("The provided starting key is outside query boundaries based on provided conditions")
