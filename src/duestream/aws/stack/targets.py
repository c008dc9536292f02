"""Whether what rules invoke is there: queues, topics, state machines, functions, buses, tables, verified senders."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.checks import Check
from duestream.aws.stack.grants import UnknownResourceError, grants_of
from duestream.aws.stack.session import DENIED, Access, Identity, code_of, message_of
from duestream.core.address import parse_address
from duestream.core.app import App
from duestream.core.rule import Rule
from duestream.core.schedule import Invocation

#: What the services say of what is not there.
_MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "NotFound",
        "NotFoundException",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "StateMachineDoesNotExist",
    }
)
_SES = ":aws-sdk:ses:"
_Look = Callable[[Access, str], object]

#: ARN's service to what it is called, and how to look for it.
_LOOKS: Mapping[str, tuple[str, _Look]] = {
    "sqs": ("queue", lambda access, arn: access.client("sqs").get_queue_url(QueueName=arn.rpartition(":")[2])),
    "sns": ("topic", lambda access, arn: access.client("sns").get_topic_attributes(TopicArn=arn)),
    "states": (
        "state machine",
        lambda access, arn: access.client("stepfunctions").describe_state_machine(stateMachineArn=arn),
    ),
    "lambda": ("function", lambda access, arn: access.client("lambda").get_function(FunctionName=arn)),
    "events": (
        "event bus",
        lambda access, arn: access.client("events").describe_event_bus(Name=arn.rpartition("/")[2]),
    ),
    "dynamodb": (
        "table",
        lambda access, arn: access.client("dynamodb").describe_table(TableName=arn.rpartition("/")[2]),
    ),
}


def resources_of(rule: Rule, access: Access, identity: Identity) -> Iterator[str]:
    """ARNs of what a rule's fixed targets act on; none for a rule whose function answers them."""
    for target in rule.action if isinstance(rule.action, tuple) else ():
        try:
            grants = grants_of(target, rule)
        except UnknownResourceError:
            continue
        for grant in grants:
            yield (
                grant.resource.replace("${AWS::Partition}", identity.partition)
                .replace("${AWS::Region}", access.region)
                .replace("${AWS::AccountId}", identity.account_id)
            )


def senders_of(invocations: Iterable[Invocation]) -> set[str]:
    """Addresses that emails come from."""
    found = set()
    for invocation in invocations:
        if _SES not in invocation.target_arn:
            continue
        request = json.loads(invocation.input)
        source = request.get("Source") or request.get("FromEmailAddress")
        if source:
            found.add(parse_address(source).spec)
    return found


def invoked_arn(invocation: Invocation, access: Access, identity: Identity) -> str | None:
    """The ARN of what an invocation acts on, where it is one that can be looked for."""
    if ":aws-sdk:" not in invocation.target_arn:
        return invocation.target_arn
    call, request = invocation.target_arn.partition(":aws-sdk:")[2], json.loads(invocation.input)
    if call.startswith("dynamodb:") and "TableName" in request:
        table = request["TableName"]
        if table.startswith("arn:"):
            return str(table)
        return f"arn:{identity.partition}:dynamodb:{access.region}:{identity.account_id}:table/{table}"
    if call == "sqs:sendMessage":
        parts = request["QueueUrl"].rstrip("/").split("/")
        return f"arn:{identity.partition}:sqs:{access.region}:{parts[-2]}:{parts[-1]}"
    return None


def check_resources(arns: Iterable[str], app: App, access: Access, identity: Identity) -> Iterator[Check]:
    """Whether each is there. The app's own tables, functions and queues are looked at elsewhere."""
    own_tables = {table.name for table in app.tables}
    for arn in sorted(set(arns)):
        parts = arn.split(":")
        if len(parts) < 6 or parts[2] not in _LOOKS:
            continue
        kind, look = _LOOKS[parts[2]]
        name = parts[-1].rpartition("/")[2]
        if (parts[2] == "dynamodb" and name in own_tables) or name.startswith(f"{app.name}-when-due"):
            continue
        subject = f"{kind} {name}"
        if parts[3] not in ("", access.region) or parts[4] not in ("", identity.account_id):
            yield Check(subject, "unknown", f"is elsewhere ({arn}); it was not looked for")
            continue
        yield looked_at(subject, lambda look=look, arn=arn: look(access, arn), _missing(kind))  # type: ignore[misc]


def check_senders(senders: Iterable[str], access: Access) -> Iterator[Check]:
    """Whether SES sends for these addresses, and to whom."""
    senders = sorted(set(senders))
    if not senders:
        return
    ses = access.client("sesv2")
    for sender in senders:
        yield looked_at(f"sender {sender}", lambda sender=sender: _identity_check(ses, sender), "")  # type: ignore[misc]
    yield looked_at("SES", lambda: _account_check(ses.get_account()), "")


def looked_at(subject: str, look: Callable[[], object], remedy: str) -> Check:
    """Look, and say what was found; a refusal is told as what it is.

    Args:
        subject: what is looked at.
        look: does it; answers a check, or anything for "it is there".
        remedy: what to do if it is missing.
    """
    try:
        found = look()
    except ClientError as error:
        code = code_of(error)
        if code in _MISSING:
            return Check(subject, "warning", "there is none", remedy)
        if code in DENIED:
            return Check(
                subject,
                "unknown",
                f"the caller may not look ({error.operation_name}: {code})",
                f"Allow {error.operation_name} to have it checked; a deployment does not need it.",
            )
        return Check(subject, "unknown", f"{error.operation_name}: {code}: {message_of(error)}")
    return found if isinstance(found, Check) else Check(subject, "ok", "is there")


def check_quotas(access: Access) -> Check:
    """The quotas of EventBridge Scheduler that bind first, as this account has them."""
    wanted = ("schedules", "create", "invocation")

    def look() -> Check:
        pages = access.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="scheduler")
        values = {
            quota["QuotaName"]: quota["Value"]
            for page in pages
            for quota in page["Quotas"]
            if any(word in quota["QuotaName"].lower() for word in wanted)
        }
        words = ", ".join(f"{name} {value:,.0f}" for name, value in sorted(values.items()))
        return Check("quotas", "ok" if words else "unknown", words or "Service Quotas says nothing of Scheduler's")

    return looked_at("quotas", look, "")


def _missing(kind: str) -> str:
    return f"Make the {kind}, or correct its name: deliveries to it would end in the dead-letter queue."


def _identity_check(ses: Any, sender: str) -> Check:
    subject, domain = f"sender {sender}", sender.rpartition("@")[2]
    labels = domain.split(".")
    # A domain that was verified covers its subdomains ("Creating and verifying identities in Amazon SES").
    candidates = [sender, *(".".join(labels[start:]) for start in range(max(len(labels) - 1, 1)))]
    pending = None
    for candidate in candidates:
        try:
            found = ses.get_email_identity(EmailIdentity=candidate)
        except ClientError as error:
            if code_of(error) not in _MISSING:
                raise
            continue
        if found.get("VerifiedForSendingStatus"):
            return Check(subject, "ok", f"SES sends for {candidate}, which is verified")
        pending = candidate
    if pending is not None:
        return Check(subject, "warning", f"{pending} is not verified yet", "Finish its verification in SES.")
    return Check(
        subject,
        "warning",
        f"SES has verified neither {sender} nor {domain}",
        f"Verify one: aws sesv2 create-email-identity --email-identity {domain}",
    )


def _account_check(account: Mapping[str, Any]) -> Check:
    if not account.get("SendingEnabled", True):
        return Check("SES", "warning", "sending is paused for this account", "Look at the reputation in SES's console.")
    daily = account.get("SendQuota", {}).get("Max24HourSend")
    limit = f", at most {daily:,.0f} emails in 24 hours" if daily and daily > 0 else ""
    if not account.get("ProductionAccessEnabled"):
        return Check(
            "SES",
            "warning",
            f"the account is in SES's sandbox: emails go to verified addresses only{limit}",
            "Ask for production access in SES's console.",
        )
    return Check("SES", "ok", f"production access{limit}")
