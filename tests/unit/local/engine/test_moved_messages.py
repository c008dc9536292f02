"""Dead letters that SQS itself put into an app's queue: messages that were received too often in another one."""

import json
from pathlib import Path
from typing import Any

from tests.unit.local.engine.bench import Bench, bench, run
from tests.unit.local.engine.test_redrive import DEAD, clinic, letters, redrive

from duestream.local.engine import letter_box
from duestream.local.engine.letter_box import LetterFilter
from duestream.local.engine.redrive import Redriven
from duestream.local.store import messages, queues


async def receive(b: Bench, name: str) -> list[Any]:
    queue = queues.get_queue(b.store.reader, name)
    assert queue is not None
    now_ms = b.clock.now_ms()
    return await b.store.write(
        lambda tx: messages.receive_messages(tx, queue, limit=10, visibility_timeout_seconds=1, now_ms=now_ms)
    )


async def moved(b: Bench, body: str = "order 1") -> None:
    """A queue whose redrive policy names the app's dead-letter queue, and a message that nobody could deal with."""
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:000000000000:{DEAD}", "maxReceiveCount": 2}
    now_ms = b.clock.now_ms()
    given = {"RedrivePolicy": json.dumps(policy)}
    await b.store.write(
        lambda tx: queues.create_queue(tx, "orders", region="us-east-1", attributes=given, now_ms=now_ms)
    )
    queue = queues.get_queue(b.store.reader, "orders")
    assert queue is not None
    sent = {"Color": {"DataType": "String", "StringValue": "red"}}
    await b.store.write(lambda tx: queues.send_message(tx, queue, body=body, attributes=sent, now_ms=now_ms))
    for received in (1, 1, 0):
        assert len(await receive(b, "orders")) == received
        await b.tick(seconds=1)


def test_a_message_that_sqs_moved_is_listed_with_its_queue(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await moved(b)
            (letter,) = letters(b)
            assert (letter["kind"], letter["queue"], letter["source_queue"]) == ("message", DEAD, "orders")
            assert (letter["received"], letter["state"], letter["rule"], letter["schedule"]) == (
                2,
                "waiting",
                None,
                None,
            )
            assert "received too often in queue orders" in letter["reason"]
            assert letters(b, kind="message", error="TOO OFTEN") == [letter]
            assert letters(b, kind="delivery") == letters(b, kind="record") == letters(b, rule="reminder") == []

    run(work())


def test_redriven_it_is_back_in_its_queue_as_a_new_message(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await moved(b)
            (letter,) = letters(b)
            named = str(letter["id"])
            would = await redrive(b, letter, dry_run=True)
            assert would == Redriven(named, "redriven", "it is in queue orders again")
            assert letters(b) == [letter]
            assert await redrive(b, letter) == would
            assert letters(b) == []
            (back,) = await receive(b, "orders")
            assert (back.message.body, back.message.receive_count) == ("order 1", 1)
            assert back.message.attributes["Color"]["StringValue"] == "red"
            assert back.message.system_attributes == {}
            assert back.message.message_id != letter["message_id"]
            assert (await redrive(b, letter)).result == "gone"
            counted = {name for name, _ in b.store.recorder.totals}
            assert "Redriven" not in counted, "it is no delivery of a schedule's"

    run(work())


def test_it_stays_where_its_queue_is_gone_and_can_be_dropped(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await moved(b)
            (letter,) = letters(b)
            orders = queues.get_queue(b.store.reader, "orders")
            assert orders is not None
            await b.store.write(lambda tx: queues.delete_queue(tx, orders))
            assert await redrive(b, letter) == Redriven(str(letter["id"]), "refused", "its queue orders is gone")
            assert (await b.engine.redriver.drop(str(letter["id"]))).result == "dropped"
            assert letters(b) == []
            assert await b.messages(DEAD) == []

    run(work())


def test_one_that_somebody_received_is_left_to_them(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await moved(b)
            (letter,) = letters(b)
            assert len(await receive(b, DEAD)) == 1
            assert (await redrive(b, letter)).result == "in flight"

    run(work())


def test_a_stranger_in_the_queue_is_none_of_ours(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            queue = queues.get_queue(b.store.reader, DEAD)
            assert queue is not None
            now_ms = b.clock.now_ms()
            await b.store.write(lambda tx: queues.send_message(tx, queue, body="by hand", now_ms=now_ms))
            page = letter_box.list_letters(b.store.reader, LetterFilter(), token=None, limit=9, now_ms=now_ms)
            assert page.letters == []

    run(work())
