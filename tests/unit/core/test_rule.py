import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from duestream import App, DeleteItem, QueueMessage
from duestream.core.app import WatchedTable
from duestream.core.record import Item
from duestream.core.rule import MAX_TARGETS, AnswerError, Refusal, Rule, Wanted
from duestream.core.schedule import Place
from duestream.errors import TimestampError

PLACE = Place()
ITEM: Item = {"PK": {"S": "p"}, "SK": {"N": "1"}, "AT": {"S": "2026-11-23T09:30"}, "TZ": {"S": "Asia/Bangkok"}}


@pytest.fixture
def table() -> WatchedTable:
    return App("clinic").table("Appointments", partition_key="PK", sort_key="SK", sort_key_type="N")


def only_rule(table: WatchedTable) -> Rule:
    (rule,) = table.rules
    return rule


def test_the_due_time_is_the_timestamp_and_the_offset(table: WatchedTable) -> None:
    rule = table.rule("AT", DeleteItem(), offset=-timedelta(days=1))
    assert rule.due_at(ITEM) == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_a_day_of_offset_is_24_hours_also_when_the_clocks_change(table: WatchedTable) -> None:
    rule = table.rule("AT", DeleteItem(), offset=-timedelta(days=1), timezone="America/New_York")
    assert rule.due_at({"AT": {"S": "2026-03-08T12:00"}}) == datetime(2026, 3, 7, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hour"),
    [({"TZ": {"S": "Asia/Bangkok"}}, 2), ({}, 8), ({"TZ": {"NULL": True}}, 8)],
)
def test_the_items_own_zone_comes_first(table: WatchedTable, zone: Item, hour: int) -> None:
    rule = table.rule("AT", DeleteItem(), timezone="Europe/Berlin", timezone_attribute="TZ")
    assert rule.due_at({"AT": ITEM["AT"], **zone}) == datetime(2026, 11, 23, hour, 30, tzinfo=UTC)


def test_a_zone_that_is_no_text_matters_only_where_one_is_needed(table: WatchedTable) -> None:
    rule = table.rule("AT", DeleteItem(), timezone_attribute="TZ")
    assert rule.due_at({"AT": {"N": "0"}, "TZ": {"N": "7"}}) == datetime(1970, 1, 1, tzinfo=UTC)
    with pytest.raises(TimestampError, match=r"'AT': time zone .* is unknown"):
        rule.due_at({"AT": ITEM["AT"], "TZ": {"N": "7"}})


@pytest.mark.parametrize("image", [{}, {"AT": {"NULL": True}}])
def test_without_a_timestamp_nothing_is_due_and_nobody_is_asked(table: WatchedTable, image: Item) -> None:
    rule = table.rule("AT", DeleteItem(), when=lambda item: item["not there"])
    assert rule.due_at(image) is None
    assert rule.wanted(image, PLACE) is None


def test_an_offset_out_of_the_calendar_is_an_unreadable_timestamp(table: WatchedTable) -> None:
    rule = table.rule("AT", DeleteItem(), offset=timedelta(days=400))
    refusal = rule.wanted({**ITEM, "AT": {"S": "9999-12-01"}}, PLACE)
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "unreadable timestamp"
    assert "offset" in refusal.reason


def test_an_unreadable_timestamp_is_told_with_its_attribute(table: WatchedTable) -> None:
    refusal = table.rule("AT", DeleteItem()).wanted({**ITEM, "AT": {"S": "soon"}}, PLACE)
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "unreadable timestamp"
    assert "'AT': 'soon'" in refusal.reason


def test_the_function_gets_python_values_and_answers_one_several_or_none(table: WatchedTable) -> None:
    answers: list[Any] = [QueueMessage("q", "1"), [QueueMessage("q", "1"), QueueMessage("q", "2")], (), [], None]
    seen: list[dict[str, Any]] = []

    @table.rule("AT")
    def rule(item: dict[str, Any]) -> Any:
        seen.append(item)
        return answers.pop(0)

    counts = [len(only_rule(table).invocations(ITEM, PLACE)) for _ in range(5)]
    assert counts == [1, 2, 0, 0, 0]
    assert seen[0] == {"PK": "p", "SK": 1, "AT": "2026-11-23T09:30", "TZ": "Asia/Bangkok"}


@pytest.mark.parametrize("answer", ["q", 7, {"q"}, [QueueMessage("q", "1"), None], [QueueMessage("q", "1")] * 100])
def test_an_answer_that_is_no_target_is_an_error(table: WatchedTable, answer: Any) -> None:
    table.rule("AT", name="wrong")(lambda item: answer)
    with pytest.raises(AnswerError, match="Answer"):
        only_rule(table).invocations(ITEM, PLACE)
    assert MAX_TARGETS == 99


def test_more_than_a_schedule_holds_is_an_error(table: WatchedTable) -> None:
    rule = table.rule("AT", QueueMessage("q", "x" * (256 * 1024 + 1)))
    refusal = rule.wanted(ITEM, PLACE)
    assert isinstance(refusal, Refusal)
    assert "262145 bytes" in refusal.reason


def test_what_a_rule_raises_is_told_with_its_line(table: WatchedTable) -> None:
    @table.rule("AT")
    def wrong(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("q", item["missing"])

    refusal = only_rule(table).wanted(ITEM, PLACE)
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "rule raised"
    assert refusal.reason.startswith("KeyError: 'missing' (")
    assert "test_rule.py:" in refusal.reason


def test_a_timestamp_error_of_the_rules_own_code_is_that_codes_fault(table: WatchedTable) -> None:
    @table.rule("AT")
    def wrong(item: dict[str, Any]) -> QueueMessage:
        raise TimestampError("mine")

    refusal = only_rule(table).wanted(ITEM, PLACE)
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "rule raised"


def test_a_filter_is_asked_before_the_timestamp_is_read(table: WatchedTable) -> None:
    rule = table.rule("AT", DeleteItem(), when=lambda item: item["PK"] == "mine")
    assert rule.wanted({**ITEM, "AT": {"S": "soon"}}, PLACE) is None
    assert isinstance(rule.wanted({**ITEM, "PK": {"S": "mine"}}, PLACE), Wanted)


def test_the_own_item_is_deleted_only_with_the_timestamp_it_had(table: WatchedTable) -> None:
    (invocation,) = table.rule("AT", DeleteItem()).invocations(ITEM, PLACE)
    assert invocation.target_arn == "arn:aws:scheduler:::aws-sdk:dynamodb:deleteItem"
    assert json.loads(invocation.input) == {
        "TableName": "Appointments",
        "Key": {"PK": {"S": "p"}, "SK": {"N": "1"}},
        "ConditionExpression": "#ts = :due",
        "ExpressionAttributeNames": {"#ts": "AT"},
        "ExpressionAttributeValues": {":due": {"S": "2026-11-23T09:30"}},
    }


def test_the_own_item_is_deleted_only_with_the_zone_it_had(table: WatchedTable) -> None:
    rule = table.rule("AT", DeleteItem(), timezone_attribute="TZ")
    with_zone, without = (
        json.loads(rule.invocations(image, PLACE)[0].input) for image in (ITEM, {**ITEM, "TZ": {"NULL": True}})
    )
    assert with_zone["ConditionExpression"] == "#ts = :due AND #tz = :tz"
    assert with_zone["ExpressionAttributeValues"][":tz"] == {"S": "Asia/Bangkok"}
    assert without["ExpressionAttributeValues"][":tz"] == {"NULL": True}
    missing = json.loads(rule.invocations({key: ITEM[key] for key in ("PK", "SK", "AT")}, PLACE)[0].input)
    assert missing["ConditionExpression"] == "#ts = :due AND attribute_not_exists(#tz)"
    assert missing["ExpressionAttributeNames"] == {"#ts": "AT", "#tz": "TZ"}
    assert list(missing["ExpressionAttributeValues"]) == [":due"]


def test_a_function_that_runs_when_due_is_invoked_with_rule_key_and_due_time(table: WatchedTable) -> None:
    @table.when_due("AT")
    def ask(item: dict[str, Any], due: object) -> None: ...

    (invocation,) = only_rule(table).invocations(ITEM, PLACE)
    assert invocation.target_arn == "arn:aws:lambda:us-east-1:000000000000:function:clinic-when-due"
    assert json.loads(invocation.input) == {
        "Rule": "ask",
        "Table": "Appointments",
        "Key": {"PK": {"S": "p"}, "SK": {"N": "1"}},
        "DueAt": "2026-11-23T09:30:00Z",
    }
