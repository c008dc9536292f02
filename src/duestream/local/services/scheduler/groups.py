"""CreateScheduleGroup, GetScheduleGroup, DeleteScheduleGroup, ListScheduleGroups."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from duestream.clock import from_ms
from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.scheduler.errors import ConflictException, ServiceQuotaExceededException, no_group
from duestream.local.services.scheduler.paging import next_token, read_next_token
from duestream.local.services.scheduler.tags import tags_from
from duestream.local.services.scheduler.tokens import find_answer, keep_answer
from duestream.local.store import schedule_groups
from duestream.local.store.schedule_groups import DEFAULT_GROUP, ScheduleGroup
from duestream.local.store.store import Store
from duestream.local.store.writer import StoreStoppedError, Transaction

logger = logging.getLogger(__name__)

MAX_PAGE = 100
#: AWS's quota for an account and region (UG, "Quotas").
MAX_GROUPS = 500
#: Schedules that one job looks at while a group goes, so that other requests get their turn.
DELETED_AT_ONCE = 1_000

#: Deletions under way; the loop itself keeps no hold of its tasks.
_deletions: set[asyncio.Task[None]] = set()


async def create_schedule_group(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Create one, with its tags."""
    name, tags = parameters["Name"], tags_from(parameters.get("Tags", []))
    _refuse_default(name)
    region, now_ms = context.place.region, context.clock.now_ms()

    def create(tx: Transaction) -> dict[str, Any]:
        before = find_answer(tx, "CreateScheduleGroup", parameters, now_ms=now_ms)
        if schedule_groups.get_group(tx, name) is not None:
            if before is not None:
                return before.answer
            raise ConflictException(f"Schedule group {name} already exists.")
        if schedule_groups.count_groups(tx) >= MAX_GROUPS:
            raise ServiceQuotaExceededException(f"There are {MAX_GROUPS} schedule groups, which is the quota.")
        group = schedule_groups.put_group(
            tx, name, region=region, now_ms=now_ms, tags=tags, client_token=parameters.get("ClientToken")
        )
        answer = {"ScheduleGroupArn": group.arn}
        return keep_answer(tx, "CreateScheduleGroup", parameters, answer, now_ms=now_ms)

    return await context.store.write(create)


async def get_schedule_group(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show one."""
    if parameters["Name"] == DEFAULT_GROUP:
        await ensure_default_group(context)
    group = schedule_groups.get_group(context.store.reader, parameters["Name"])
    if group is None:
        raise no_group(parameters["Name"])
    return _shown(group)


async def delete_schedule_group(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Mark one as DELETING and answer; its schedules go in the background, and the group with the last of them.

    Until then schedules of it that fall due are still delivered, as on AWS.
    """
    name = parameters["Name"]
    _refuse_default(name)
    now_ms = context.clock.now_ms()

    def begin(tx: Transaction) -> tuple[ScheduleGroup | None, dict[str, Any]]:
        before = find_answer(tx, "DeleteScheduleGroup", parameters, now_ms=now_ms)
        group = schedule_groups.get_group(tx, name)
        if group is None:
            if before is not None:
                return None, before.answer
            raise no_group(name)
        if group.state != "DELETING":  # again, otherwise: a deletion that the disk had stopped goes on
            schedule_groups.begin_deletion(tx, group, now_ms=now_ms)
        return group, keep_answer(tx, "DeleteScheduleGroup", parameters, {}, now_ms=now_ms)

    group, answer = await context.store.write(begin)
    if group is not None:
        _start_deletion(context.store, group.id)
    return answer


async def list_schedule_groups(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page, by name."""
    await ensure_default_group(context)
    limit = parameters.get("MaxResults", MAX_PAGE)
    found = schedule_groups.list_groups(
        context.store.reader,
        name_prefix=parameters.get("NamePrefix", ""),
        after_name=read_next_token("ListScheduleGroups", parameters.get("NextToken"), ""),
        limit=limit + 1,
    )
    answer: dict[str, Any] = {"ScheduleGroups": [_shown(group) for group in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = next_token("ListScheduleGroups", found[limit - 1].name)
    return answer


async def ensure_default_group(context: RequestContext) -> None:
    """See to it that the group `default` is there; the server makes it at its start."""
    if schedule_groups.get_group(context.store.reader, DEFAULT_GROUP) is None:
        region, now_ms = context.place.region, context.clock.now_ms()
        await context.store.write(lambda tx: schedule_groups.put_group(tx, DEFAULT_GROUP, region=region, now_ms=now_ms))


def resume_group_deletions(store: Store) -> None:
    """Go on with the deletions that the last stop cut short. To be called once, at the server's start."""
    for group in schedule_groups.deleting_groups(store.reader):
        _start_deletion(store, group.id)


async def group_deletions() -> None:
    """Wait until no deletion of this loop's is under way."""
    while deletions := _own_deletions():
        await asyncio.gather(*deletions, return_exceptions=True)


async def stop_group_deletions() -> None:
    """Put off what is not deleted yet; `resume_group_deletions` goes on at the next start."""
    for deletion in _own_deletions():
        deletion.cancel()
    await group_deletions()


def _own_deletions() -> list[asyncio.Task[None]]:
    loop = asyncio.get_running_loop()
    return [deletion for deletion in tuple(_deletions) if deletion.get_loop() is loop]


def _start_deletion(store: Store, group_id: int) -> None:
    deletion = asyncio.get_running_loop().create_task(_delete_with_schedules(store, group_id))
    _deletions.add(deletion)
    deletion.add_done_callback(_deletions.discard)


async def _delete_with_schedules(store: Store, group_id: int) -> None:
    after_id: int | None = 0
    try:
        while after_id is not None:
            after_id = await store.write(_part(group_id, after_id))
    except StoreStoppedError:
        logger.info("group deletion put off", extra={"action": "delete_schedule_group", "group_id": group_id})


def _part(group_id: int, after_id: int) -> Any:
    return lambda tx: schedule_groups.delete_part(tx, group_id, after_id=after_id, limit=DELETED_AT_ONCE)


def _refuse_default(name: str) -> None:
    if name == DEFAULT_GROUP:  # measured for the create; presumed for the delete
        raise ValidationException("This operation cannot be performed on schedule group default.")


def _shown(group: ScheduleGroup) -> dict[str, Any]:
    return {
        "Arn": group.arn,
        "Name": group.name,
        "State": group.state,
        "CreationDate": from_ms(group.created_at_ms),
        "LastModificationDate": from_ms(group.last_modified_at_ms),
    }
