"""EventBridge Scheduler: its twelve operations, for one-time schedules (``at(...)``) in this version."""

from duestream.local.services.context import Operation
from duestream.local.services.scheduler.groups import (
    create_schedule_group,
    delete_schedule_group,
    get_schedule_group,
    group_deletions,
    list_schedule_groups,
    resume_group_deletions,
    stop_group_deletions,
)
from duestream.local.services.scheduler.schedules import (
    create_schedule,
    delete_schedule,
    get_schedule,
    list_schedules,
    update_schedule,
)
from duestream.local.services.scheduler.tags import list_tags_for_resource, tag_resource, untag_resource

__all__ = ["OPERATIONS", "group_deletions", "resume_group_deletions", "stop_group_deletions"]

OPERATIONS: dict[str, Operation] = {
    "CreateSchedule": create_schedule,
    "GetSchedule": get_schedule,
    "UpdateSchedule": update_schedule,
    "DeleteSchedule": delete_schedule,
    "ListSchedules": list_schedules,
    "CreateScheduleGroup": create_schedule_group,
    "GetScheduleGroup": get_schedule_group,
    "DeleteScheduleGroup": delete_schedule_group,
    "ListScheduleGroups": list_schedule_groups,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
