"""A redrive that dies at any of its calls, before AWS has it or before its answer comes: no letter is lost."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from botocore.client import BaseClient
from tests.integration.conftest import RunningServer
from tests.integration.test_dead_letters_on_aws import AHEAD, PAST, Clinic

from duestream.aws.given_up import EVENT_ATTRIBUTE
from duestream.aws.signed_calls import SignedCalls
from duestream.clock import ManualClock
from duestream.core.schedule import schedule_name
from duestream.core.timestamps import parse_timestamp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Died(BaseException):
    """The process is gone: it makes no further call."""


@contextmanager
def dying(number: int, *, before: bool) -> Iterator[list[int]]:
    """Die at the call of that number, before or after it is made. Tells how many calls were begun."""
    begun, lock = [0], Lock()
    make, send = BaseClient._make_api_call, SignedCalls.send

    def mortal(call: Any) -> Any:
        def made(*arguments: Any, **options: Any) -> Any:
            with lock:
                begun[0] += 1
                ours = begun[0]
            if ours > number or (before and ours == number):
                raise Died
            answer = call(*arguments, **options)
            if ours == number:
                raise Died
            return answer

        return made

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", mortal(make))
        patched.setattr(SignedCalls, "send", mortal(send))
        yield begun


@pytest.mark.parametrize("before", [True, False], ids=["before the call", "after the call"])
def test_whenever_a_redrive_dies_the_next_one_brings_it_to_its_end(
    manual_server: RunningServer, clock: ManualClock, before: bool
) -> None:
    clinic = Clinic(manual_server, clock)
    handed: list[str] = []
    for number in range(1, 200):
        delivery, work, record = (f"{kind}-{number}" for kind in ("delivery", "work", "record"))
        clinic.put(delivery, REMINDER=PAST)
        clinic.put(work, CALL=PAST)
        clinic.put(record, REMINDER=AHEAD)
        event = clinic.work(work, parse_timestamp({"S": PAST}, timezone="UTC")).lambda_event()
        request = {"MessageBody": "x", "QueueUrl": clinic.urls["reminders"]}
        clinic.given_up("reminder", delivery)
        handed.append(clinic.given_up("call", work, request, **{EVENT_ATTRIBUTE: json.dumps(event)}))
        clinic.undigested("reminder", record)
        with dying(number, before=before) as begun, suppress(Died):
            clinic.redrive()
        clinic.advance(timedelta(minutes=10))  # what was held is there again
        assert {result for result, _ in clinic.redrive()} <= {"redriven", "dropped"}
        assert clinic.ids() == []
        assert schedule_name("Appointments", "reminder", {"id": {"S": record}}) in clinic.schedules()
        clinic.advance(timedelta(minutes=1))
        if begun[0] < number:
            break
    else:
        pytest.fail("a redrive has no end")
    assert number > 15, "it died at each of its calls"
    told = set()
    while messages := clinic.sqs.receive_message(QueueUrl=clinic.urls["reminders"], MaxNumberOfMessages=10).get(
        "Messages"
    ):
        told |= {message["Body"] for message in messages}
    assert told == {f"delivery-{one}" for one in range(1, number + 1)}, "each was delivered, at least once"
    # The due function was handed every one, perhaps twice; it tells them apart by the letters' ids.
    redriven: set[str] = set()
    while redriven != set(handed):
        answer = clinic.sqs.receive_message(
            QueueUrl=clinic.urls["told"], MaxNumberOfMessages=10, WaitTimeSeconds=20
        ).get("Messages")
        assert answer, f"never handed over: {set(handed) - redriven}"
        redriven |= {json.loads(message["Body"])["Redrive"] for message in answer}
