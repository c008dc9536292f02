"""Schedule groups in the store. The group `default` is always there; each app's schedules have a group of their own."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from duestream.local.store.schedules import Executes, delete_of_group
from duestream.local.store.writer import Transaction

DEFAULT_GROUP = "default"
#: Emails taken in by SES's API that wait for the mail server; their schedules are named by their message ids.
EMAIL_GROUP = "duestream-email"


@dataclass(frozen=True, slots=True)
class ScheduleGroup:
    """One schedule group."""

    id: int
    name: str
    region: str
    state: Literal["ACTIVE", "DELETING"]
    raw_tags: bytes
    client_token: str | None
    created_at_ms: int
    last_modified_at_ms: int

    @property
    def tags(self) -> dict[str, str]:
        """Tag keys to values."""
        tags: dict[str, str] = msgspec.json.decode(self.raw_tags)
        return tags

    @property
    def arn(self) -> str:
        """``arn:aws:scheduler:{region}:{account}:schedule-group/{name}``."""
        return f"arn:aws:scheduler:{self.region}:000000000000:schedule-group/{self.name}"


_COLUMNS = "id, name, region, state, tags, client_token, created_at_ms, last_modified_at_ms"


def get_group(connection: Executes, name: str) -> ScheduleGroup | None:
    """The group of that name."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM schedule_group WHERE name = ?", (name,)).fetchone()
    return ScheduleGroup(*found) if found else None


def list_groups(
    connection: Executes, *, name_prefix: str = "", after_name: str = "", limit: int = 100
) -> list[ScheduleGroup]:
    """Groups by name, after `after_name`."""
    rows: Any = connection.execute(
        f"SELECT {_COLUMNS} FROM schedule_group WHERE name > ? AND instr(name, ?) = 1 ORDER BY name LIMIT ?",
        (after_name, name_prefix, limit),
    )
    return [ScheduleGroup(*row) for row in rows]


def put_group(
    tx: Transaction,
    name: str,
    *,
    region: str,
    now_ms: int,
    tags: dict[str, str] | None = None,
    client_token: str | None = None,
) -> ScheduleGroup:
    """The group of that name, created if it is missing."""
    tx.execute(
        "INSERT INTO schedule_group (name, region, state, tags, client_token, created_at_ms, last_modified_at_ms) "
        "VALUES (?, ?, 'ACTIVE', ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, region, msgspec.json.encode(tags or {}), client_token, now_ms, now_ms),
    )
    group = get_group(tx, name)
    assert group is not None
    return group


def count_groups(connection: Executes) -> int:
    """How many groups there are."""
    found: Any = connection.execute("SELECT count(*) FROM schedule_group").fetchone()
    return int(found[0])


def begin_deletion(tx: Transaction, group: ScheduleGroup, *, now_ms: int) -> None:
    """Have the group shown as DELETING while its schedules go."""
    tx.execute("UPDATE schedule_group SET state = 'DELETING', last_modified_at_ms = ? WHERE id = ?", (now_ms, group.id))


def deleting_groups(connection: Executes) -> list[ScheduleGroup]:
    """The groups whose deletion was begun and not ended."""
    rows: Any = connection.execute(f"SELECT {_COLUMNS} FROM schedule_group WHERE state = 'DELETING' ORDER BY id")
    return [ScheduleGroup(*row) for row in rows]


def delete_part(tx: Transaction, group_id: int, *, after_id: int, limit: int) -> int | None:
    """Delete a part of a group's schedules (see `delete_of_group`), and with the last part the group itself."""
    next_id = delete_of_group(tx, group_id, after_id=after_id, limit=limit)
    if next_id is None:
        tx.execute("DELETE FROM schedule_group WHERE id = ?", (group_id,))
    return next_id


def set_tags(tx: Transaction, group: ScheduleGroup, tags: dict[str, str], *, now_ms: int) -> None:
    """Replace all tags of the group."""
    tx.execute(
        "UPDATE schedule_group SET tags = ?, last_modified_at_ms = ? WHERE id = ?",
        (msgspec.json.encode(tags), now_ms, group.id),
    )
