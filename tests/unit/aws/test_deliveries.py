"""One delivery, whoever asks for it and however often: random histories of claims, ends and deaths."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.aws.deliveries import Claimed, Deliveries, InProgress, Over
from duestream.core.expression import Placeholders, parse_condition, parse_update
from duestream.core.record import Item

START = datetime(2030, 1, 1, 9, tzinfo=UTC)
STEP = timedelta(seconds=20)


class MemoryTable:
    """One table of DynamoDB's; conditions are read by our own parser."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    def get(self, table_name: str, key: Item) -> Item | None:
        assert table_name == "deliveries"
        return self.items.get(key["id"]["S"])

    def query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"nobody looks for {request}")

    def update(self, request: Mapping[str, Any]) -> bool:
        key = request["Key"]["id"]["S"]
        placeholders = Placeholders(request["ExpressionAttributeNames"], request["ExpressionAttributeValues"])
        if not self._holds(key, request, placeholders):
            return False
        update = parse_update(request["UpdateExpression"], placeholders)
        self.items[key] = update.apply(self.items.get(key, {"id": {"S": key}}), key_names=("id",))
        return True

    def delete(self, request: Mapping[str, Any]) -> bool:
        key = request["Key"]["id"]["S"]
        placeholders = Placeholders(request["ExpressionAttributeNames"], request["ExpressionAttributeValues"])
        if not self._holds(key, request, placeholders):
            return False
        self.items.pop(key, None)
        return True

    def _holds(self, key: str, request: Mapping[str, Any], placeholders: Placeholders) -> bool:
        text = request.get("ConditionExpression")
        return text is None or parse_condition(text, placeholders).holds(self.items.get(key, {}))


@dataclass
class Running:
    """An invocation that has claimed the delivery and may still come to an end."""

    attempt: int
    owner: str
    until: Any


@given(steps=st.lists(st.sampled_from(["ask", "stale", "deliver", "fail", "die", "skip", "wait", "wait"]), max_size=25))
def test_at_most_one_is_at_a_delivery_and_none_after_it_is_done(steps: list[str]) -> None:  # noqa: C901 - one case a step
    deliveries, now, running = Deliveries(MemoryTable(), "deliveries"), START, list[Running]()
    asked_for, is_done, made = 1, False, list[int]()
    for number, step in enumerate(steps):
        match step:
            case "ask":
                owner = f"request {number}"
                claim = deliveries.claim("d", attempt=asked_for, owner=owner, until=now + 3 * STEP, now=now)
                alive = [one for one in running if now < one.until]
                if is_done:
                    assert isinstance(claim, Over)
                elif alive:
                    assert isinstance(claim, InProgress)
                else:
                    assert isinstance(claim, Claimed | InProgress)  # within the margin of a dead one
                if isinstance(claim, Claimed):
                    assert claim.follows_a_crash == bool(running)
                    made.append(claim.attempt)
                    running = [Running(claim.attempt, owner, now + 3 * STEP)]
            case "stale" if asked_for > 1:  # Lambda repeats the invocation for the attempt before
                stale = deliveries.claim("d", attempt=asked_for - 1, owner="stale", until=now, now=now)
                assert isinstance(stale, Over) or running
                assert not isinstance(stale, Claimed) or stale.follows_a_crash
                if isinstance(stale, Claimed):
                    made.append(stale.attempt)
                    running = [Running(stale.attempt, "stale", now)]
            case "wait":
                now += STEP
            case "deliver" | "fail" | "skip" | "die" if running and now < running[-1].until:
                one = running.pop()
                if step == "deliver":
                    deliveries.finish("d", outcome="delivered", now=now)
                    is_done = True
                elif step == "fail":
                    deliveries.fail("d", owner=one.owner, now=now)
                    asked_for = one.attempt + 1
                elif step == "skip":
                    deliveries.release("d", owner=one.owner)
                    asked_for, made = 1, []
                else:
                    running.append(one)  # without a word: the claim runs out
                    now = one.until
    assert made == sorted(set(made)), "no attempt is made twice"


def test_a_claim_that_others_take_again_and_again_is_an_error_and_lambda_asks_once_more() -> None:
    class Slippery(MemoryTable):
        def update(self, request: Mapping[str, Any]) -> bool:
            return not request

    with pytest.raises(Exception, match="again and again"):
        Deliveries(Slippery(), "deliveries").claim("d", attempt=1, owner="o", until=START + STEP, now=START)


def test_whoever_overstayed_does_not_undo_the_next_ones_claim() -> None:
    table = MemoryTable()
    deliveries = Deliveries(table, "deliveries")
    deliveries.claim("d", attempt=1, owner="slow", until=START + STEP, now=START)
    assert deliveries.claim("d", attempt=1, owner="next", until=START + 9 * STEP, now=START + 2 * STEP) == Claimed(
        2, follows_a_crash=True
    )
    deliveries.fail("d", owner="slow", now=START + 3 * STEP)
    deliveries.release("d", owner="slow")
    assert isinstance(
        deliveries.claim("d", attempt=3, owner="third", until=START + 9 * STEP, now=START + 3 * STEP), InProgress
    )
