import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest

from duestream.cli.flow_log import MAX_LINES_PER_SECOND, FlowLog
from duestream.cli.flow_words import Words

AT = 1_800_000_000.25  # 2027-01-15T08:00:00.250Z
KEY = {"PK": {"S": "a"}, "SK": {"N": "7"}}
PUT: dict[str, Any] = {
    "action": "put_schedule",
    "rule": "reminder",
    "key": KEY,
    "schedule": "clinic/reminder-x",
    "due_at_ms": 1_800_000_003_000,
}
DELIVERED: dict[str, Any] = {
    "action": "delivered",
    "rule": "reminder",
    "schedule": "clinic/reminder-x",
    "target_arn": "arn:aws:scheduler:::aws-sdk:ses:sendEmail",
    "lateness_ms": 3,
    "reason": None,
}


def _record(message: str = "step", created: float = AT, **fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": "duestream.flow",
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": message,
            "created": created,
            **fields,
        }
    )


@pytest.fixture
def words() -> Words:
    return Words(coloured=False, zone=UTC)


@pytest.fixture(autouse=True)
def _same_logger_afterwards() -> Iterator[None]:
    logger = logging.getLogger("duestream")
    before = (logger.level, logger.propagate, [*logger.handlers])
    yield
    logger.setLevel(before[0])
    logger.propagate, logger.handlers[:] = before[1], before[2]


def _printed(*records: logging.LogRecord, as_json: bool = False) -> list[str]:
    stream = io.StringIO()
    log = FlowLog(as_json=as_json, words=Words(coloured=False, zone=UTC), stream=stream)
    log.start()
    for record in records:
        log.handle(record)
    log.stop(timeout_seconds=30)
    return stream.getvalue().splitlines()


def test_a_put_tells_rule_item_and_due_time(words: Words) -> None:
    line = words.line(_record(**PUT))
    assert line == "08:00:00.250  scheduled    reminder  PK=a SK=7  due 2027-01-15 08:00:03.000"


def test_a_delivery_is_told_by_the_item_that_its_put_named(words: Words) -> None:
    words.line(_record(**PUT))
    assert (
        words.line(_record(**DELIVERED)) == "08:00:00.250  delivered    reminder  PK=a SK=7  ses:sendEmail  3 ms late"
    )


def test_a_delivery_of_an_earlier_run_is_told_by_its_schedule(words: Words) -> None:
    assert "clinic/reminder-x" in words.line(_record(**DELIVERED))


def test_a_retry_tells_when_and_why(words: Words) -> None:
    fields = {
        "action": "retry",
        "attempt": 2,
        "retry_at_ms": 1_800_000_004_000,
        "reason": "503: busy",
        "lateness_ms": 20_000,
    }
    line = words.line(_record(**{**DELIVERED, **fields}))
    assert "attempt 2 failed; again at 2027-01-15 08:00:04.000  503: busy" in line


def test_long_lateness_is_told_in_a_larger_unit(words: Words) -> None:
    assert "26.4 h late" in words.line(_record(**{**DELIVERED, "lateness_ms": 95_000_000}))


def test_other_peoples_data_cannot_steer_the_terminal(words: Words) -> None:
    line = words.line(_record(**{**PUT, "key": {"PK": {"S": "\x1b[2Jgone\nnew line"}}}))
    assert "\x1b" not in line
    assert "\n" not in line


def test_a_fault_keeps_its_traceback(words: Words) -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        record = _record("a fault", levelname="ERROR", exc_info=(type(error), error, error.__traceback__))
    text = words.line(record)
    assert "error        a fault" in text
    assert text.endswith("ValueError: why")


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" in Words(coloured=True, zone=UTC).line(_record(**PUT))


def test_many_steps_in_one_second_are_told_in_one_line() -> None:
    lines = _printed(*(_record(**DELIVERED) for _ in range(MAX_LINES_PER_SECOND + 30)))
    assert len(lines) == MAX_LINES_PER_SECOND + 1
    assert lines[-1].endswith("30 delivered in this second")


def test_the_count_stands_before_the_next_seconds_lines() -> None:
    crowd = [_record(**DELIVERED) for _ in range(MAX_LINES_PER_SECOND + 2)]
    lines = _printed(*crowd, _record(created=AT + 1, **PUT))
    assert "2 delivered in this second" in lines[-2]
    assert "scheduled" in lines[-1]


def test_json_has_a_line_for_each_with_all_its_fields() -> None:
    lines = _printed(*(_record(**PUT) for _ in range(200)), as_json=True)
    assert len(lines) == 200
    expected = {"time": 1_800_000_000.25, "level": "info", "message": "step", **PUT}
    assert json.loads(lines[0]) == expected


def test_only_what_begins_with_duestream_is_printed() -> None:
    stream = io.StringIO()
    log = FlowLog(as_json=True, words=Words(coloured=False), stream=stream)
    log.start()
    logging.getLogger("duestream.flow").info("ours", extra={"action": "delivered"})
    logging.getLogger("somebody.else").warning("theirs")
    log.stop(timeout_seconds=30)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours"]


def test_a_reader_that_is_gone_ends_the_log_and_nothing_else() -> None:
    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    log = FlowLog(as_json=False, words=Words(coloured=False), stream=Closed())
    log.start()
    log.handle(_record(**PUT))
    log.stop(timeout_seconds=30)
    assert log not in logging.getLogger("duestream").handlers
