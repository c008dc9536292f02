"""TagResource, UntagResource, ListTagsForResource. Only schedule groups have tags."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.scheduler.errors import no_group
from duestream.local.store import schedule_groups
from duestream.local.store.schedule_groups import DEFAULT_GROUP, ScheduleGroup
from duestream.local.store.schedules import Executes
from duestream.local.store.writer import Transaction

#: As many as the model lets one request have.
MAX_TAGS = 200


def tags_from(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """AWS's list of tags as a mapping.

    Raises:
        ValidationException: a key comes twice (AWS's text is not known).
    """
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) != len(given):
        raise ValidationException("Tag keys must be unique.")
    return tags


async def tag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Add tags; one with a key that is there already gets the new value."""
    added = tags_from(parameters["Tags"])

    def add(tags: dict[str, str]) -> dict[str, str]:
        together = {**tags, **added}
        if len(together) > MAX_TAGS:
            raise ValidationException(f"A schedule group has at most {MAX_TAGS} tags.")
        return together

    return await _change_tags(context, parameters["ResourceArn"], add)


async def untag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Take tags away; keys that are not there do not matter."""
    removed = frozenset(parameters["TagKeys"])

    def remove(tags: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in tags.items() if key not in removed}

    return await _change_tags(context, parameters["ResourceArn"], remove)


async def list_tags_for_resource(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All tags, in the order in which they were first given."""
    name = _group_name(parameters["ResourceArn"])
    group = schedule_groups.get_group(context.store.reader, name)
    if group is None and name == DEFAULT_GROUP:
        return {"Tags": []}
    if group is None:
        raise no_group(name)
    return {"Tags": [{"Key": key, "Value": value} for key, value in group.tags.items()]}


async def _change_tags(
    context: RequestContext, arn: str, change: Callable[[dict[str, str]], dict[str, str]]
) -> dict[str, Any]:
    name, region, now_ms = _group_name(arn), context.place.region, context.clock.now_ms()

    def job(tx: Transaction) -> None:
        group = _group(tx, name) or schedule_groups.put_group(tx, name, region=region, now_ms=now_ms)
        schedule_groups.set_tags(tx, group, change(group.tags), now_ms=now_ms)

    await context.store.write(job)
    return {}


def _group(connection: Executes, name: str) -> ScheduleGroup | None:
    """The group; None only for `default`, which is there even where the store has it not yet."""
    group = schedule_groups.get_group(connection, name)
    if group is None and name != DEFAULT_GROUP:
        raise no_group(name)
    return group


def _group_name(arn: str) -> str:
    """A group's ARN names it whatever region and account it has: this data folder is one namespace."""
    return arn.rpartition("/")[2]
