"""Pre-flight checks that need nobody's answer: the rules, the bundle, the template, and its names."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from duestream.aws.stack.change_set import MAX_INLINE_BYTES, MAX_TEMPLATE_BYTES, template_text
from duestream.aws.stack.draft import Draft
from duestream.aws.stack.parts import parts_of
from duestream.aws.stack.permissions import permissions_of
from duestream.core.rule import Rule
from duestream.core.target import HttpRequest

#: Of a function's code, unzipped, and of a template's resources ("Lambda quotas", "CloudFormation quotas").
MAX_UNZIPPED_BYTES = 262_144_000
MAX_RESOURCES = 500
#: Of the user's files in the bundle, so many are named.
MAX_SHOWN_FILES = 8
#: Type to the property with the name, and how long that may be.
_NAMES: Mapping[str, tuple[str, int]] = {
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::SQS::Queue": ("QueueName", 80),
    "AWS::DynamoDB::Table": ("TableName", 255),
    "AWS::Scheduler::ScheduleGroup": ("Name", 64),
    "AWS::Scheduler::Schedule": ("Name", 64),
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::CloudWatch::Dashboard": ("DashboardName", 255),
    "AWS::Logs::LogGroup": ("LogGroupName", 512),
}
_NEAR_HOSTS = ("localhost", "127.", "10.", "192.168.", "169.254.", "::1")


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at before a deployment.

    Args:
        subject: what was looked at.
        state: ``ok``; ``warning``: it can be deployed, but something will not work; ``failed``: a deployment would
            fail; ``unknown``: it could not be looked at.
        words: what was found.
        remedy: what to do about it.
    """

    subject: str
    state: Literal["ok", "warning", "failed", "unknown"]
    words: str
    remedy: str = ""


def offline_checks(draft: Draft, template: Mapping[str, Any]) -> Iterator[Check]:
    """What can be said of a draft without asking AWS.

    Args:
        draft: what is to be deployed.
        template: as made from it.
    """
    tables, rules = draft.app.tables, draft.app.rules
    state: Literal["ok", "warning"] = "ok" if rules else "warning"
    yield Check("rule file", state, f"{_count(len(rules), 'rule')} on {_count(len(tables), 'table')}")
    for rule in rules:
        yield from _of_rule(rule)
    for words in permissions_of(parts_of(draft.app)).warnings:
        yield Check("permissions", "warning", words)
    yield _of_bundle(draft.bundle)
    yield _of_template(template)
    yield from _of_names(template)


def _of_rule(rule: Rule) -> Iterator[Check]:
    for target in rule.action if isinstance(rule.action, tuple) else ():
        if isinstance(target, HttpRequest):
            host = urlsplit(target.url).hostname or ""
            if host.startswith(_NEAR_HOSTS):
                yield Check(
                    f"rule {rule.name}",
                    "warning",
                    f"{host} is not to be reached from AWS",
                    "Name an address that a Lambda function can reach.",
                )
    if rule.repeats is not None and rule.repeats.catch_up != "skip":
        yield Check(
            f"rule {rule.name}",
            "ok",
            "missed occurrences are not caught up with on AWS: EventBridge Scheduler is not down, it retries",
        )


def _of_bundle(bundle: bytes) -> Check:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        sizes = [entry.file_size for entry in archive.infolist()]
        names = [name for name in archive.namelist() if not name.startswith("duestream/")]
    words = f"{len(bundle) / 1000:.0f} kB, {_count(len(sizes), 'file')}, {sum(sizes) / 1000:.0f} kB unzipped"
    if sum(sizes) > MAX_UNZIPPED_BYTES:
        return Check("bundle", "failed", f"{words}; Lambda takes {MAX_UNZIPPED_BYTES}", "Put packages into a layer.")
    # Whatever goes up is to be seen before it does.
    more = f" and {len(names) - MAX_SHOWN_FILES} more" if len(names) > MAX_SHOWN_FILES else ""
    return Check("bundle", "ok", f"{words}; yours: {', '.join(names[:MAX_SHOWN_FILES])}{more}")


def _of_template(template: Mapping[str, Any]) -> Check:
    resources, size_bytes = len(template["Resources"]), len(template_text(template).encode())
    words = f"{_count(resources, 'resource')}, {size_bytes} bytes"
    if resources > MAX_RESOURCES or size_bytes > MAX_TEMPLATE_BYTES:
        return Check(
            "template",
            "failed",
            f"{words}; CloudFormation takes {MAX_RESOURCES} and {MAX_TEMPLATE_BYTES}",
            "Split the rules into two apps.",
        )
    return Check("template", "ok", words + (", sent through the bucket" if size_bytes > MAX_INLINE_BYTES else ""))


def _of_names(template: Mapping[str, Any]) -> Iterator[Check]:
    looked = 0
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] not in _NAMES:
            continue
        member, limit = _NAMES[resource["Type"]]
        name = resource.get("Properties", {}).get(member)
        if not isinstance(name, str):
            continue
        looked += 1
        if len(name) > limit:
            yield Check(
                "names",
                "failed",
                f"{logical_id}: {name} has {len(name)} characters, and AWS takes {limit}",
                "Give the app a shorter name.",
            )
    yield Check("names", "ok", f"{_count(looked, 'name')}, each as short as AWS wants it")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
