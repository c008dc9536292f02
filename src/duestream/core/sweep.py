"""`Sweep`: the other way to what is due. An index is looked through on a schedule, instead of one schedule per item.

The index is sparse and sharded: its partition key is the shard attribute, with the texts ``"0"`` to ``"<shards - 1>"``,
its sort key the rule's timestamp attribute. Items without the shard attribute are not in it, and not watched.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

#: Every shard is queried at least once in each sweep.
MAX_SHARDS = 1000
#: EventBridge's ``rate()`` knows nothing shorter than a minute.
MIN_EVERY = timedelta(minutes=1)
_is_index_name = re.compile(r"[a-zA-Z0-9_.-]{3,255}").fullmatch
#: Names of key attributes of an index have at most so many bytes (DynamoDB, "Naming rules").
MAX_KEY_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sharded index that is looked through for what is due, as a rule's ``via``.

    Args:
        index: name of the global secondary index.
        shards: how many shards are read, 1 to 1000. Raise it here first, deploy, and then let the writers use
            the further shards: empty ones are harmless.
        every: how often; whole minutes, at least one.
        shard_attribute: the index's partition key; a string.
        timestamp_type: type of the rule's attribute, the index's sort key: ``S`` or ``N``.
    """

    index: str
    shards: int = 1
    every: timedelta = MIN_EVERY
    shard_attribute: str = "GSI_PK"
    timestamp_type: Literal["S", "N"] = "S"

    @property
    def every_minutes(self) -> int:
        """How often, in minutes."""
        return self.every // timedelta(minutes=1)

    @property
    def rate_expression(self) -> str:
        """As EventBridge Scheduler takes it: ``rate(1 minute)``, ``rate(5 minutes)``."""
        minutes = self.every_minutes
        return f"rate({minutes} minute{'' if minutes == 1 else 's'})"

    @property
    def shard_names(self) -> tuple[str, ...]:
        """The values of the shard attribute: ``"0"``, ``"1"``, ..."""
        return tuple(map(str, range(self.shards)))


def sweep_problem(value: object) -> tuple[str, str] | None:
    """What is wrong with a rule's ``via``, and what to write instead; None: nothing."""
    if value is None:
        return None
    if not isinstance(value, Sweep):
        return f"via={value!r} is no Sweep", "Write via=Sweep(index='...'), or leave it out for one schedule per item."
    index: object = value.index
    if not isinstance(index, str) or not _is_index_name(index):
        return (
            f"Sweep(index={index!r}) names no index",
            "Write the global secondary index's name: 3 to 255 letters, digits, -, _ and .",
        )
    if type(value.shards) is not int or not 1 <= value.shards <= MAX_SHARDS:
        return f"Sweep(shards={value.shards!r}) is no number of shards", f"Write a number from 1 to {MAX_SHARDS}."
    every: object = value.every
    if not isinstance(every, timedelta) or every < MIN_EVERY or every % MIN_EVERY:
        return (
            f"Sweep(every={every!r}) is no whole number of minutes, one or more",
            "Write every=timedelta(minutes=...): rate() knows nothing shorter. For more precision leave via out.",
        )
    name: object = value.shard_attribute
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= MAX_KEY_NAME_BYTES:
        return f"Sweep(shard_attribute={name!r}) names no attribute", "Write the name of the index's partition key."
    if value.timestamp_type not in ("S", "N"):
        return (
            f"Sweep(timestamp_type={value.timestamp_type!r}) is no type of a timestamp",
            "Write 'S' for texts (ISO 8601) or 'N' for numbers, as the index's sort key is declared.",
        )
    return None
