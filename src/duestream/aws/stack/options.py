"""What may be chosen about a stack."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from duestream.errors import SettingsError

Architecture = Literal["arm64", "x86_64"]
ARCHITECTURES: tuple[Architecture, ...] = ("arm64", "x86_64")
#: Runtimes of Lambda that duestream runs on (Lambda Developer Guide, "Lambda runtimes").
RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")
#: What CloudWatch Logs takes (API reference, PutRetentionPolicy).
RETENTIONS_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
#: A function runs for at most 15 minutes.
MAX_TIMEOUT = timedelta(minutes=15)
#: Lambda takes at most five layers for a function.
MAX_LAYERS = 5

_is_entry = re.compile(r"[^:]+:[^\W\d]\w*").fullmatch
_is_layer = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:layer:[A-Za-z0-9_-]{1,140}:\d+").fullmatch
_is_topic = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}").fullmatch
_is_policy = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+").fullmatch
_is_variable = re.compile(r"[A-Za-z]\w+").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What may be chosen about a stack. Every default is meant to be right for most.

    Args:
        entry: ``module:attribute`` of the app in the bundle: ``appointments:app``.
        existing_tables: tables that are there already; the stack takes the ARN of their stream as a parameter.
        keep_tables: tables that the stack makes outlive it.
        runtime: of the functions, one of `RUNTIMES`.
        architecture: of the functions' processors.
        layers: ARNs of layers with packages that rules import.
        environment: further environment variables of the functions.
        memory_mb: of each function; it has processor time in proportion.
        log_retention_days: one of `RETENTIONS_DAYS`.
        alarm_topics: ARNs of SNS topics that are told when an alarm begins or ends.
        alarms: make alarms; each costs a few cents a month.
        dashboard: make a dashboard; an account's first three are free.
        permissions_boundary: ARN of the policy that bounds every role.
        batch_size: stream records in one invocation, 1 to 10,000.
        parallelization: invocations per shard at one time, 1 to 10; the order of each item is kept.
        concurrency: calls that a function has under way at once, 1 to 512.
        watched_only: the stream function is invoked only for records in which a rule's attribute is a text or a
            number. A timestamp of another type is then passed over, instead of being dead-lettered.

    Raises:
        SettingsError: AWS would not take it.
    """

    entry: str
    existing_tables: frozenset[str] = frozenset()
    keep_tables: bool = True
    runtime: str = "python3.13"
    architecture: Architecture = "arm64"
    layers: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 1024
    log_retention_days: int = 30
    alarm_topics: tuple[str, ...] = ()
    alarms: bool = True
    dashboard: bool = True
    permissions_boundary: str | None = None
    batch_size: int = 1000
    parallelization: int = 2
    concurrency: int = 32
    watched_only: bool = False

    def __post_init__(self) -> None:
        for holds, problem in self._checks():
            if not holds:
                raise SettingsError(problem)

    def _checks(self) -> tuple[tuple[object, str], ...]:
        runtimes = ", ".join(RUNTIMES)
        return (
            (_is_entry(self.entry), f"the app's entry {self.entry!r} is not module:attribute, such as reminders:app"),
            (self.runtime in RUNTIMES, f"the runtime {self.runtime!r} is none of {runtimes}"),
            (self.architecture in ARCHITECTURES, f"the architecture {self.architecture!r} is not arm64 or x86_64"),
            (len(self.layers) <= MAX_LAYERS, f"{len(self.layers)} layers are more than the {MAX_LAYERS} Lambda takes"),
            *((_is_layer(layer), f"{layer!r} is no ARN of a layer's version") for layer in self.layers),
            *((_is_topic(topic), f"{topic!r} is no ARN of an SNS topic") for topic in self.alarm_topics),
            (
                self.permissions_boundary is None or _is_policy(self.permissions_boundary),
                f"{self.permissions_boundary!r} is no ARN of a policy",
            ),
            *(
                (_is_variable(name) and not name.startswith(("AWS_", "LAMBDA_", "DUESTREAM_")), _variable_text(name))
                for name in self.environment
            ),
            (128 <= self.memory_mb <= 10_240, f"{self.memory_mb} MB of memory is not between 128 and 10,240"),
            (
                self.log_retention_days in RETENTIONS_DAYS,
                f"logs cannot be kept for {self.log_retention_days} days, only for one of "
                + ", ".join(map(str, RETENTIONS_DAYS)),
            ),
            (1 <= self.batch_size <= 10_000, f"a batch of {self.batch_size} records is not between 1 and 10,000"),
            (1 <= self.concurrency <= 512, f"a concurrency of {self.concurrency} is not between 1 and 512"),
            (1 <= self.parallelization <= 10, f"a parallelization of {self.parallelization} is not between 1 and 10"),
        )


def _variable_text(name: str) -> str:
    return (
        f"no environment variable of the functions can be set under the name {name!r}: it has letters, digits and _, "
        "and begins neither with AWS_ and LAMBDA_ (those are Lambda's) nor with DUESTREAM_"
    )
