"""Random histories of every kind of write, held against a dictionary: table, indexes, stream, counters and expiries.

Also after the data folder was closed and opened again in the midst of it.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.local.services.dynamodb.conftest import Caller
from tests.unit.local.services.dynamodb.test_indexes_against_a_model import by_key, order, pages, schema, view

from duestream.core.attributes import item_size_bytes, marshal_item, unmarshal_item
from duestream.local.engine.expiry import Expiry

Identity = tuple[str, int]
Attributes = dict[str, Any]
Step = Callable[["Run"], None]

TABLE = {"TableName": "Things"}
TYPES = {"PK": "S", "SK": "N", "group": "S", "rank": "N"}
#: name: key attributes, what is projected beside keys (None: all).
INDEXES: dict[str, tuple[list[str], list[str] | None]] = {
    "ByGroup": (["group", "rank"], []),
    "ByRank": (["PK", "rank"], None),
}

IDENTITIES = st.tuples(st.sampled_from(["p", "q"]), st.integers(-1, 2))
#: None: the item has no such attribute.
ATTRIBUTES = st.fixed_dictionaries(
    {
        "group": st.sampled_from(["g", "h", "ü", None]),
        "rank": st.sampled_from([-3, 0, 10, None]),
        "gone_in": st.sampled_from([None, None, 5, 30]),
        "other": st.sampled_from(["", "long" * 9]),
    }
).map(lambda values: {name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class Change:
    """What a record of the stream should tell."""

    identity: Identity
    old: Attributes | None
    new: Attributes | None
    by_service: bool = False


@dataclass
class Run:
    """The tables and the model of them."""

    call: Caller
    items: dict[Identity, Attributes] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    expires: bool = False

    def now_s(self) -> int:
        return self.call.clock.now_ms() // 1000

    def item(self, identity: Identity, attributes: Attributes) -> Attributes:
        """The item, its `gone_in` become a moment."""
        item = {"PK": identity[0], "SK": identity[1], **attributes}
        if "gone_in" in item:
            item["gone_at"] = self.now_s() + item.pop("gone_in")
        return item

    def becomes(self, identity: Identity, new: Attributes | None, *, by_service: bool = False) -> None:
        old = self.items.pop(identity, None)
        if new is not None:
            self.items[identity] = new
        if old != new:
            self.changes.append(Change(identity, old, new, by_service))


def key_of(identity: Identity) -> dict[str, Any]:
    return marshal_item({"PK": identity[0], "SK": identity[1]})


def assignments(new: Attributes, present: Attributes) -> dict[str, Any]:
    """UpdateItem's members that make an item out of another: what it has not any more is removed."""
    wanted = {name: value for name, value in new.items() if name not in ("PK", "SK")}
    gone = [name for name in present if name not in new]
    names = {f"#{place}": name for place, name in enumerate([*wanted, *gone])}
    sets = ", ".join(f"#{place} = :{place}" for place in range(len(wanted)))
    removes = ", ".join(f"#{place}" for place in range(len(wanted), len(names)))
    members: dict[str, Any] = {
        "UpdateExpression": f"SET {sets}" + (f" REMOVE {removes}" if removes else ""),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {f":{place}": value for place, value in enumerate(marshal_item(wanted).values())},
    }
    return members


# Steps --------------------------------------------------------------------------------------------------


def put(identity: Identity, attributes: Attributes, only_new: bool) -> Step:
    def step(run: Run) -> None:
        item = run.item(identity, attributes)
        asked = {**TABLE, "Item": marshal_item(item)}
        if only_new:
            asked["ConditionExpression"] = "attribute_not_exists(PK)"
        if only_new and identity in run.items:
            assert run.call.refusal("PutItem", **asked).startswith("ConditionalCheckFailedException")
            return
        old = run.call("PutItem", **asked, ReturnValues="ALL_OLD").get("Attributes")
        assert (None if old is None else unmarshal_item(old)) == run.items.get(identity)
        run.becomes(identity, item)

    return step


def update(identity: Identity, attributes: Attributes, _: bool) -> Step:
    def step(run: Run) -> None:
        new = run.item(identity, attributes)
        members = assignments(new, run.items.get(identity, {}))
        answer = run.call("UpdateItem", **TABLE, Key=key_of(identity), **members, ReturnValues="ALL_NEW")
        assert unmarshal_item(answer["Attributes"]) == new
        run.becomes(identity, new)

    return step


def delete(identity: Identity, _: Attributes, __: bool) -> Step:
    def step(run: Run) -> None:
        old = run.call("DeleteItem", **TABLE, Key=key_of(identity), ReturnValues="ALL_OLD").get("Attributes")
        assert (None if old is None else unmarshal_item(old)) == run.items.get(identity)
        run.becomes(identity, None)

    return step


Part = tuple[Identity, Attributes, str]


def batch(parts: list[Part]) -> Step:
    def step(run: Run) -> None:
        requests = []
        for identity, attributes, kind in parts:
            new = run.item(identity, attributes) if kind in ("Put", "Update") else None
            requests.append(
                {"DeleteRequest": {"Key": key_of(identity)}}
                if new is None
                else {"PutRequest": {"Item": marshal_item(new)}}
            )
            run.becomes(identity, new)
        assert run.call("BatchWriteItem", RequestItems={"Things": requests})["UnprocessedItems"] == {}

    return step


def transact(parts: list[Part]) -> Step:
    """All of it, or nothing where a check does not hold."""

    def step(run: Run) -> None:
        fails = any(kind == "ConditionCheck" and identity not in run.items for identity, _, kind in parts)
        actions = []
        becomes: list[tuple[Identity, Attributes | None]] = []
        for identity, attributes, kind in parts:
            new = run.item(identity, attributes)
            where = {**TABLE, "Key": key_of(identity)}
            member: dict[str, Any] = {
                "Put": {**TABLE, "Item": marshal_item(new)},
                "Update": {**where, **assignments(new, run.items.get(identity, {}))},
                "Delete": where,
                "ConditionCheck": {**where, "ConditionExpression": "attribute_exists(PK)"},
            }[kind]
            actions.append({kind: member})
            if kind != "ConditionCheck":
                becomes.append((identity, None if kind == "Delete" else new))
        if fails:
            refusal = run.call.refusal("TransactWriteItems", TransactItems=actions)
            assert refusal.startswith("TransactionCanceledException")
            return
        run.call("TransactWriteItems", TransactItems=actions)
        for identity, item in becomes:
            run.becomes(identity, item)

    return step


def switch_expiry(run: Run) -> None:
    run.expires = not run.expires
    wanted = {"AttributeName": "gone_at", "Enabled": run.expires}
    run.call("UpdateTimeToLive", **TABLE, TimeToLiveSpecification=wanted)


def pass_time(seconds: int) -> Step:
    """Time passes, and what has expired is deleted."""

    def step(run: Run) -> None:
        run.call.clock.tick(timedelta(seconds=seconds))
        expire(run)

    return step


def expire(run: Run) -> None:
    expired = [
        identity
        for identity, item in run.items.items()
        if run.expires and item.get("gone_at", run.now_s() + 1) <= run.now_s()
    ]

    async def run_once() -> int:
        return await Expiry(run.call.store, run.call.clock).run_once()

    assert run.call.run(run_once()) == len(expired)
    for identity in expired:
        run.becomes(identity, None, by_service=True)


def reopen(run: Run) -> None:
    run.call.reopen()


PARTS = st.lists(
    st.tuples(IDENTITIES, ATTRIBUTES, st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"])),
    min_size=1,
    max_size=5,
    unique_by=lambda part: part[0],
)
WRITES = st.builds(
    lambda kind, *given: kind(*given),
    st.sampled_from([put, put, update, delete]),
    IDENTITIES,
    ATTRIBUTES,
    st.booleans(),
)
STEPS = st.one_of(
    WRITES,
    WRITES,
    PARTS.map(batch),
    PARTS.map(transact),
    st.sampled_from([switch_expiry, reopen]),
    st.integers(0, 20).map(pass_time),
)


@settings(max_examples=40, deadline=None)
@given(history=st.lists(STEPS, max_size=25), limit=st.integers(1, 4))
def test_everything_that_is_kept_agrees_with_the_writes(history: list[Step], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        call = Caller(Path(folder))
        try:
            declare(call)
            run = Run(call)
            for step in history:
                step(run)
            expire(run)
            check(run, limit)
            reopen(run)
            check(run, limit)
        finally:
            call.close()


def declare(call: Caller) -> None:
    def declared(name: str) -> dict[str, Any]:
        (partition, sort), projected = INDEXES[name]
        kind = "ALL" if projected is None else "KEYS_ONLY"
        return {"IndexName": name, "KeySchema": schema([partition], [sort]), "Projection": {"ProjectionType": kind}}

    call(
        "CreateTable",
        **TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in TYPES.items()],
        KeySchema=schema(["PK"], ["SK"]),
        GlobalSecondaryIndexes=[declared("ByGroup")],
        LocalSecondaryIndexes=[declared("ByRank")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


# Checks -------------------------------------------------------------------------------------------------


def check(run: Run, limit: int) -> None:
    held = by_key(run.items.values())
    described = run.call("DescribeTable", **TABLE)["Table"]
    assert (described["ItemCount"], described["TableSizeBytes"]) == (len(held), size_of(held))
    assert by_key(pages(run.call, "Scan", limit, **TABLE)) == held
    for partition in "pq":
        asked = query_of("PK", partition)
        mine = [item for item in held if item["PK"] == partition]
        assert list(pages(run.call, "Query", limit, **TABLE, **asked)) == mine
        assert list(pages(run.call, "Query", limit, **TABLE, **asked, ScanIndexForward=False)) == mine[::-1]
    if held:
        keys = [key_of(identity) for identity in run.items]
        read = run.call("BatchGetItem", RequestItems={"Things": {"Keys": keys}})["Responses"]["Things"]
        assert by_key(map(unmarshal_item, read)) == held
    indexes = [*described["GlobalSecondaryIndexes"], *described["LocalSecondaryIndexes"]]
    for index in indexes:
        check_index(run, index, held, limit)
    check_stream(run)
    watched = sum("gone_at" in item for item in held) if run.expires else 0
    assert run.call.store.reader.execute("SELECT count(*) FROM expiry").get == watched


def check_index(run: Run, described: dict[str, Any], held: list[Attributes], limit: int) -> None:
    """What an index holds is what its items say."""
    name = described["IndexName"]
    keys, projected = INDEXES[name]
    shown_names = None if projected is None else {"PK", "SK", *keys, *projected}
    entries = [view(item, shown_names) for item in held if all(key in item for key in keys)]
    assert (described["ItemCount"], described["IndexSizeBytes"]) == (len(entries), size_of(entries))
    where = {**TABLE, "IndexName": name}
    assert by_key(pages(run.call, "Scan", limit, **where)) == entries
    for partition in {entry[keys[0]] for entry in entries}:
        asked = query_of(keys[0], partition)
        in_order = sorted(
            (entry for entry in entries if entry[keys[0]] == partition),
            key=lambda entry: order(entry, [keys[1], "PK", "SK"]),
        )
        assert list(pages(run.call, "Query", limit, **where, **asked)) == in_order
        assert list(pages(run.call, "Query", limit, **where, **asked, ScanIndexForward=False)) == in_order[::-1]


def check_stream(run: Run) -> None:
    """The stream tells each change in its order; what expires in one go has no order."""
    assert list(in_any_order_of_expiry(told(run))) == list(in_any_order_of_expiry(run.changes))


def told(run: Run) -> Iterator[Change]:
    arn = run.call("DescribeTable", **TABLE)["Table"]["LatestStreamArn"]
    (shard,) = run.call("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = run.call("GetShardIterator", **place)["ShardIterator"]
    while page := run.call("GetRecords", ShardIterator=iterator, Limit=7):
        if not page["Records"]:
            return
        for record in page["Records"]:
            change = record["dynamodb"]
            key = unmarshal_item(change["Keys"])
            old, new = (change.get(name) and unmarshal_item(change[name]) for name in ("OldImage", "NewImage"))
            assert record["eventName"] == ("INSERT" if old is None else "REMOVE" if new is None else "MODIFY")
            yield Change((key["PK"], int(key["SK"])), old, new, "userIdentity" in record)
        iterator = page["NextShardIterator"]


def in_any_order_of_expiry(changes: Iterable[Change]) -> Iterator[Change]:
    together: list[Change] = []
    for change in changes:
        if change.by_service:
            together.append(change)
            continue
        yield from sorted(together, key=lambda one: one.identity)
        together = []
        yield change
    yield from sorted(together, key=lambda one: one.identity)


def size_of(held: list[Attributes]) -> int:
    return sum(item_size_bytes(marshal_item(item)) for item in held)


def query_of(attribute: str, value: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": attribute},
        "ExpressionAttributeValues": {":p": {"S": value}},
    }
