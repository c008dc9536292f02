"""CreateSchedule, GetSchedule, UpdateSchedule, DeleteSchedule, ListSchedules."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from duestream.local.services.context import RequestContext
from duestream.local.services.scheduler.declaration import Declaration, declare, shown, summary
from duestream.local.services.scheduler.errors import ConflictException, no_group, no_schedule
from duestream.local.services.scheduler.paging import next_token, read_next_token
from duestream.local.services.scheduler.tokens import find_answer, keep_answer
from duestream.local.store import outcomes, schedule_groups, schedules
from duestream.local.store.schedule_groups import DEFAULT_GROUP, ScheduleGroup
from duestream.local.store.schedules import Executes, Placed, ScheduleRow
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")

#: A schedule that was put: its group and name, and where that left it.
_Put = tuple[ScheduleGroup, str, Placed]

#: The most that AWS gives in one page, and what it gives unasked.
MAX_PAGE = 100
#: Rows that a list passes over before others have their turn.
SCANNED_AT_ONCE = 5_000


async def create_schedule(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Create one; refuse a name that the group has already."""
    declared = declare(parameters, region=context.place.region, now=context.clock.now(), forwarded=context.forwarded)
    region, now_ms = context.place.region, context.clock.now_ms()

    placed: list[_Put] = []

    def create(tx: Transaction) -> dict[str, Any]:
        before = find_answer(tx, "CreateSchedule", parameters, now_ms=now_ms)
        existing = schedules.get_schedule(tx, declared.group_name, declared.name)
        if before is not None and (existing or _has_ended(tx, declared, since_ms=before.created_at_ms)):
            return before.answer
        group = _group_to_write(tx, declared.group_name, region=region, now_ms=now_ms)
        if existing is not None:
            raise ConflictException(f"Schedule {declared.name} already exists.")
        placed.append(_put(tx, group, declared, None, now_ms=now_ms))
        answer = {"ScheduleArn": schedules.schedule_arn(group.region, group.name, declared.name)}
        return keep_answer(tx, "CreateSchedule", parameters, answer, now_ms=now_ms)

    answer = await context.store.write(create)
    _log(placed)
    return answer


async def get_schedule(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show one with everything that was declared, defaults filled in."""
    return shown(_existing(context.store.reader, parameters.get("GroupName", DEFAULT_GROUP), parameters["Name"]))


async def update_schedule(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Replace one whole; what is left out goes to its default.

    One that a rule had made is the API's own from then on: it no longer moves or goes with its item, until the
    rule makes it anew. One whose delivery has ended is not delivered again for the same moment. A recurring one whose
    expression, zone and StartDate are unchanged goes on where it stands.
    """
    declared = declare(parameters, region=context.place.region, now=context.clock.now(), forwarded=context.forwarded)
    region, now_ms = context.place.region, context.clock.now_ms()

    placed: list[_Put] = []

    def update(tx: Transaction) -> dict[str, Any]:
        before = find_answer(tx, "UpdateSchedule", parameters, now_ms=now_ms)
        row = schedules.get_schedule(tx, declared.group_name, declared.name)
        if before is not None and (row is None or row.version == before.version):
            return before.answer
        row = _existing(tx, declared.group_name, declared.name)
        group = _group_to_write(tx, declared.group_name, region=region, now_ms=now_ms)
        placed.append(_put(tx, group, declared, row, now_ms=now_ms))
        return keep_answer(
            tx, "UpdateSchedule", parameters, {"ScheduleArn": row.arn}, version=row.version + 1, now_ms=now_ms
        )

    answer = await context.store.write(update)
    _log(placed)
    return answer


async def delete_schedule(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Delete one; what is due of it and not delivered yet never will be."""
    group_name, name = parameters.get("GroupName", DEFAULT_GROUP), parameters["Name"]
    now_ms = context.clock.now_ms()

    was_there: list[bool] = []

    def delete(tx: Transaction) -> dict[str, Any]:
        before = find_answer(tx, "DeleteSchedule", parameters, now_ms=now_ms)
        if schedules.delete_schedule(tx, group_name, name):
            was_there.append(True)
            return keep_answer(tx, "DeleteSchedule", parameters, {}, now_ms=now_ms)
        if before is None:
            raise _missing(tx, group_name, name)
        return before.answer

    answer = await context.store.write(delete)
    if was_there:
        logger.info("schedule deleted", extra={"action": "delete_schedule", "schedule": f"{group_name}/{name}"})
    return answer


async def list_schedules(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page, in the order in which they were made."""
    group_name, limit = parameters.get("GroupName"), parameters.get("MaxResults", MAX_PAGE)
    after_id = read_next_token("ListSchedules", parameters.get("NextToken"), 0)
    reader = context.store.reader
    if group_name not in (None, DEFAULT_GROUP) and schedule_groups.get_group(reader, group_name) is None:
        raise no_group(group_name)
    found: list[ScheduleRow] = []
    while len(found) <= limit:  # one more than asked for tells whether there is a next page
        until_id = schedules.end_of_scan(reader, after_id=after_id, rows=SCANNED_AT_ONCE)
        found += schedules.list_schedules(
            reader,
            group_name=group_name,
            name_prefix=parameters.get("NamePrefix"),
            state=parameters.get("State"),
            after_id=after_id,
            until_id=until_id,
            limit=limit + 1 - len(found),
        )
        if until_id is None:
            break
        after_id = until_id
        await asyncio.sleep(0)
    answer: dict[str, Any] = {"Schedules": [summary(row) for row in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = next_token("ListSchedules", found[limit - 1].id)
    return answer


def _put(
    tx: Transaction, group: ScheduleGroup, declared: Declaration, replaced: ScheduleRow | None, *, now_ms: int
) -> _Put:
    due_at_ms, stands = declared.due_at_ms, declared.standing(replaced, now_ms=now_ms)
    if stands is not None:
        due_at_ms = stands.due_at_ms
    elif replaced is not None and replaced.due_at_ms is None and _was_delivered(tx, declared):
        due_at_ms = None
    placed = schedules.put_schedule(
        tx,
        group_id=group.id,
        group_name=group.name,
        name=declared.name,
        state=declared.state,
        due_at_ms=due_at_ms,
        body=declared.body,
        now_ms=now_ms,
        anchor_at_ms=None if stands is None else stands.anchor_at_ms,
    )
    return group, declared.name, placed


def _log(placed: list[_Put]) -> None:
    """Say what was put, as for rules."""
    if not placed or not logger.isEnabledFor(logging.INFO):
        return
    group, name, put = placed[0]
    facts = {
        "schedule": f"{group.name}/{name}",
        "rule": None,
        "due_at_ms": put.due_at_ms,
        "delivery_id": put.delivery_id(schedules.schedule_arn(group.region, group.name, name)),
    }
    logger.info("schedule put", extra={"action": "put_schedule", **facts})


def _group_to_write(tx: Transaction, name: str, *, region: str, now_ms: int) -> ScheduleGroup:
    group = schedule_groups.get_group(tx, name)
    if group is None and name == DEFAULT_GROUP:
        return schedule_groups.put_group(tx, name, region=region, now_ms=now_ms)
    if group is None:
        raise no_group(name)
    if group.state == "DELETING":  # AWS's answer is not known
        raise ConflictException(f"Schedule group {name} is being deleted.")
    return group


def _existing(connection: Executes, group_name: str, name: str) -> ScheduleRow:
    row = schedules.get_schedule(connection, group_name, name)
    if row is None:
        raise _missing(connection, group_name, name)
    return row


def _missing(connection: Executes, group_name: str, name: str) -> Exception:
    is_group_there = group_name == DEFAULT_GROUP or schedule_groups.get_group(connection, group_name) is not None
    return no_schedule(name) if is_group_there else no_group(group_name)


def _has_ended(tx: Transaction, declared: Declaration, *, since_ms: int) -> bool:
    """It is gone because it was delivered or given up, not because somebody deleted it."""
    ended = outcomes.outcomes_of(tx, declared.group_name, declared.name)
    return any(outcome.ended_at_ms >= since_ms for outcome in ended)


def _was_delivered(tx: Transaction, declared: Declaration) -> bool:
    ended = outcomes.outcomes_of(tx, declared.group_name, declared.name)
    return any(outcome.kind == "delivered" and outcome.due_at_ms == declared.due_at_ms for outcome in ended)
