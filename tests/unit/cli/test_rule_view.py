from datetime import timedelta

from duestream import App, DeleteItem, QueueMessage, Sweep
from duestream.cli import rule_view


def test_a_rule_is_shown_with_the_way_it_comes_to_what_is_due() -> None:
    offers = App("shop").table("Offers", partition_key="id")
    plain = offers.rule("AT", QueueMessage("q"))
    guarded = offers.rule("AT", QueueMessage("q"), name="guarded", guarded=True)
    swept = offers.rule("AT", DeleteItem(), via=Sweep("ByExpiry", shards=10, every=timedelta(minutes=5)))
    assert rule_view.via_of(plain) == "schedules"
    assert rule_view.via_of(guarded) == "guarded schedules"
    assert rule_view.via_of(swept) == "sweep of ByExpiry (10 shards of GSI_PK) every 5 min"
    assert "sweep" not in rule_view.rule_facts(plain)
    assert (rule_view.rule_facts(plain)["guarded"], rule_view.rule_facts(guarded)["guarded"]) == (False, True)
    assert rule_view.rule_facts(swept)["sweep"] == {
        "index": "ByExpiry",
        "shards": 10,
        "every_seconds": 300.0,
        "shard_attribute": "GSI_PK",
        "timestamp_type": "S",
    }
