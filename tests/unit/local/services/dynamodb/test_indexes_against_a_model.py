"""Random histories of writes, held against a dictionary: what Query and Scan find in each index, page by page."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.local.services.dynamodb.conftest import Caller

from duestream.core.attributes import item_size_bytes, marshal_item, unmarshal_item
from duestream.core.expression import Placeholders, parse_update
from duestream.local.store import index_building, items, tables
from duestream.local.store.writer import Transaction

Model = dict[tuple[str, int], dict[str, Any]]
Change = Callable[..., None]
Keys = tuple[list[str], list[str], set[str] | None]

#: name: partition attributes, sort attributes, what is projected (None: all).
INDEXES: dict[str, Keys] = {
    "ByGroup": (["group"], ["rank"], set()),
    "ByState": (["state"], [], {"note"}),
    "ByRank": (["PK"], ["rank"], None),
    "ByAll": (["group", "state"], ["note", "rank"], None),
}
#: Made in the midst of the history.
ADDED = "Added"
ADDED_KEYS: Keys = (["note"], ["rank"], {"state"})
TYPES = {"PK": "S", "SK": "N", "group": "S", "state": "S", "rank": "N", "note": "S"}

IDENTITIES = st.tuples(st.sampled_from(["p", "q"]), st.integers(-2, 2))
#: None: the item has no such attribute.
ATTRIBUTES = st.fixed_dictionaries(
    {
        "group": st.sampled_from(["g", "g", "g\x00", None]),
        "state": st.sampled_from(["new", "new", "older", None]),
        "rank": st.sampled_from([-3, 0, 10, 9, None]),
        "note": st.sampled_from(["a", "ab", "a\x00", "a\x00b", None]),
        "other": st.sampled_from(["", "long" * 9]),
    }
).map(lambda values: {name: value for name, value in values.items() if value is not None})


def put(identity: tuple[str, int], attributes: dict[str, Any]) -> Change:
    def change(tx: Transaction, model: Model) -> None:
        model[identity] = {"PK": identity[0], "SK": identity[1], **attributes}
        items.put_item(tx, the_table(tx), marshal_item(model[identity]), now_ms=1)

    return change


def update(identity: tuple[str, int], attributes: dict[str, Any]) -> Change:
    """Set what is given, and remove `state`."""

    def change(tx: Transaction, model: Model) -> None:
        key = {"PK": identity[0], "SK": identity[1]}
        new = {**model.get(identity, key), **attributes}
        names = {f"#{place}": name for place, name in enumerate(attributes)}
        values = {f":{place}": value for place, value in enumerate(marshal_item(attributes).values())}
        text = "SET " + ", ".join(f"#{place} = :{place}" for place in range(len(names))) if names else ""
        if "state" not in attributes:
            text += " REMOVE #state"
            names["#state"] = "state"
            new.pop("state", None)
        parsed = parse_update(text, Placeholders(names, values or None))
        items.update_item(tx, the_table(tx), marshal_item(key), update=parsed, now_ms=1)
        if identity in model or parsed.creates_items:
            model[identity] = new

    return change


def delete(identity: tuple[str, int], _: dict[str, Any]) -> Change:
    def change(tx: Transaction, model: Model) -> None:
        model.pop(identity, None)
        items.delete_item(tx, the_table(tx), marshal_item({"PK": identity[0], "SK": identity[1]}), now_ms=1)

    return change


def the_table(tx: Transaction) -> tables.Table:
    table = tables.get_table(tx.connection, "Things")
    assert table is not None
    return table


@settings(max_examples=40, deadline=None)
@given(
    history=st.lists(st.tuples(st.sampled_from([put, put, update, delete]), IDENTITIES, ATTRIBUTES), max_size=30),
    added_at=st.integers(0, 30),
    chunk=st.integers(1, 5),
    limit=st.integers(1, 4),
)
def test_queries_and_scans_of_indexes_agree_with_the_writes(
    history: list[tuple[Callable[..., Change], tuple[str, int], dict[str, Any]]],
    added_at: int,
    chunk: int,
    limit: int,
) -> None:
    model: Model = {}
    with tempfile.TemporaryDirectory() as folder:
        call = Caller(Path(folder))
        try:
            declare(call)
            call.write(lambda tx: play(tx, history[:added_at], model))
            call.write(lambda tx: tables.add_index(tx, the_table(tx), added_index()))
            for kind, identity, attributes in history[added_at:]:
                change = kind(identity, attributes)
                call.write(partial(change, model=model))
                call.write(lambda tx: index_building.build_step(tx, chunk))
            while call.write(lambda tx: index_building.build_step(tx, chunk)):
                pass
            for name, keys in {**INDEXES, ADDED: ADDED_KEYS}.items():
                check_index(call, name, keys, model, limit)
            check_deletion(call)
        finally:
            call.close()


def play(tx: Transaction, history: list[Any], model: Model) -> None:
    for kind, identity, attributes in history:
        kind(identity, attributes)(tx, model)


def declare(call: Caller) -> None:
    def declared(name: str, global_: bool) -> dict[str, Any]:
        partition, sort, projected = INDEXES[name]
        projection: dict[str, Any] = {"ProjectionType": "ALL"}
        if projected is not None:
            projection = {"ProjectionType": "KEYS_ONLY"}
            if projected:
                projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": sorted(projected)}
        return {"IndexName": name, "KeySchema": schema(partition, sort), "Projection": projection}

    call(
        "CreateTable",
        TableName="Things",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in TYPES.items()],
        KeySchema=schema(["PK"], ["SK"]),
        LocalSecondaryIndexes=[declared("ByRank", False)],
        GlobalSecondaryIndexes=[declared(name, True) for name in INDEXES if name != "ByRank"],
    )


def schema(partition: list[str], sort: list[str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": "HASH"} for name in partition] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in sort
    ]


def added_index() -> tables.IndexDeclaration:
    partition, sort, _ = ADDED_KEYS
    types = {name: TYPES[name] for name in (*partition, *sort)}
    projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["state"]}
    declaration = {"KeySchema": schema(partition, sort), "Types": types, "Projection": projection}
    return tables.IndexDeclaration(ADDED, True, declaration)


def check_index(call: Caller, name: str, keys: Keys, model: Model, limit: int) -> None:
    partition, sort, projected = keys
    names = partition + sort
    held = [item for item in model.values() if all(one in item for one in names)]
    shown = [view(item, None if projected is None else {"PK", "SK"} | {*names} | projected) for item in held]
    described = next(
        index
        for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
        for index in call("DescribeTable", TableName="Things")["Table"][kind]
        if index["IndexName"] == name
    )
    assert described["ItemCount"] == len(held)
    assert described["IndexSizeBytes"] == sum(item_size_bytes(marshal_item(item)) for item in shown)
    request = {"TableName": "Things", "IndexName": name}
    in_order = sorted(shown, key=lambda item: order(item, [*names, "PK", "SK"]))
    assert by_key(pages(call, "Scan", limit, **request)) == by_key(in_order)
    segments = [pages(call, "Scan", limit, **request, Segment=part, TotalSegments=3) for part in range(3)]
    assert by_key(chain(*segments)) == by_key(in_order)
    for values in {tuple(item[one] for one in partition) for item in in_order}:
        mine = [item for item in in_order if tuple(item[one] for one in partition) == values]
        condition = " AND ".join(f"#p{place} = :p{place}" for place in range(len(partition)))
        asked: dict[str, Any] = {
            **request,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {f"#p{place}": one for place, one in enumerate(partition)},
            "ExpressionAttributeValues": marshal_item({f":p{place}": value for place, value in enumerate(values)}),
        }
        assert list(pages(call, "Query", limit, **asked)) == mine
        assert list(pages(call, "Query", limit, **asked, ScanIndexForward=False)) == mine[::-1]
        if len(sort) == 2:
            for note in {item["note"] for item in mine}:
                with_note = {
                    **asked,
                    "KeyConditionExpression": f"{condition} AND note = :note",
                    "ExpressionAttributeValues": {**asked["ExpressionAttributeValues"], ":note": {"S": note}},
                }
                check_ranges(call, with_note, "rank", [item for item in mine if item["note"] == note], limit)
        elif sort:
            check_ranges(call, asked, sort[0], mine, limit)


def check_ranges(call: Caller, asked: dict[str, Any], attribute: str, mine: list[Any], limit: int) -> None:
    for operator, holds in {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}.items():
        bound = 0 if operator == ">" else 9
        request = {
            **asked,
            "KeyConditionExpression": f"{asked['KeyConditionExpression']} AND #s {operator} :s",
            "ExpressionAttributeNames": {**asked["ExpressionAttributeNames"], "#s": attribute},
            "ExpressionAttributeValues": {**asked["ExpressionAttributeValues"], ":s": {"N": str(bound)}},
        }
        expected = [item for item in mine if holds(item[attribute], bound)]
        assert list(pages(call, "Query", limit, **request)) == expected
        assert list(pages(call, "Query", limit, **request, ScanIndexForward=False)) == expected[::-1]


def by_key(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda item: (item["PK"], item["SK"]))


def order(item: dict[str, Any], names: list[str]) -> list[Any]:
    return [item[name].encode() if isinstance(item[name], str) else item[name] for name in names]


def view(item: dict[str, Any], names: set[str] | None) -> dict[str, Any]:
    return {name: value for name, value in item.items() if names is None or name in names}


def pages(call: Caller, operation: str, limit: int, **request: Any) -> Iterator[dict[str, Any]]:
    start: dict[str, Any] = {}
    while True:
        page = call(operation, Limit=limit, **request, **start)
        assert len(page["Items"]) == page["Count"] == page["ScannedCount"] <= limit
        yield from map(unmarshal_item, page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def check_deletion(call: Caller) -> None:
    """Nothing of the table is left, however small the steps."""

    def work(tx: Transaction) -> tuple[int, int, int]:
        if tables.delete_table(tx, the_table(tx), now_ms=1):
            while tables.purge_step(tx, 3):
                pass
        held = ("item", "index_entry", "secondary_index")
        entries, indexes, deleted = (tx.execute(f"SELECT count(*) FROM {name}").get for name in held)
        return entries, indexes, deleted

    assert call.write(work) == (0, 0, 0)
