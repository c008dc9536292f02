"""What must be allowed for a target to be invoked: actions of IAM's, each on the narrowest resource that AWS has."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from duestream.aws.stack.names import PLACE, Value, literal, sub, table_arn
from duestream.core.address import parse_address
from duestream.core.allowance import parse_allowance
from duestream.core.rule import Rule
from duestream.core.service_targets import BusEvent, Function, Notification, StateMachine
from duestream.core.target import (
    AwsCall,
    DeleteItem,
    Email,
    HttpRequest,
    PutItem,
    QueueMessage,
    Target,
    UpdateItem,
)
from duestream.core.target_names import parse_queue
from duestream.errors import Error

#: ``(operator, key, value)`` as in ``("StringEquals", "ses:FromAddress", "clinic@example.com")``.
Condition = tuple[str, str, str]


class UnknownResourceError(Error):
    """What a call needs is not known here."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One action on one resource.

    Args:
        action: IAM's name, ``sqs:SendMessage``.
        resource: an ARN, as text for ``Fn::Sub``.
        conditions: all of which must hold.
    """

    action: str
    resource: str
    conditions: tuple[Condition, ...] = ()


def grants_of(target: Target, rule: Rule) -> tuple[Grant, ...]:
    """What a fixed target of a rule needs. An `HttpRequest` needs nothing.

    Raises:
        UnknownResourceError: an `AwsCall` of an operation that is not known here.
    """
    match target:
        case Email(source=source):
            return _email_grants(source)
        case QueueMessage(queue=queue):
            return (Grant("sqs:SendMessage", parse_queue(queue).arn(PLACE)),)
        case Notification(topic=topic):
            return (Grant("sns:Publish", _named(topic, "sns", "")),)
        case StateMachine(state_machine=name):
            return (Grant("states:StartExecution", _named(name, "states", "stateMachine:")),)
        case Function(function=name):
            return (Grant("lambda:InvokeFunction", _named(name, "lambda", "function:")),)
        case BusEvent(bus=bus):
            return (Grant("events:PutEvents", _named(bus, "events", "event-bus/")),)
        case PutItem(table=table):
            return (Grant("dynamodb:PutItem", table_arn(table)),)
        case UpdateItem(table=table):
            return (Grant("dynamodb:UpdateItem", table_arn(table)),)
        case DeleteItem(table=table):
            return (Grant("dynamodb:DeleteItem", table_arn(rule.table.name if table is None else table)),)
        case AwsCall(service=service, action=action, parameters=parameters):
            return _call_grants(service, action, parameters)
        case HttpRequest():
            return ()


def grants_of_allowance(text: str) -> tuple[Grant, ...]:
    """What an entry of a rule's ``allow`` says (`duestream.core.allowance`)."""
    allowance = parse_allowance(text)
    service, resource = allowance.service, allowance.resource
    if allowance.action is not None:
        return (Grant(allowance.action, resource),)
    if service == "ses":
        return _email_grants(resource) if "@" in resource else _domain_grants(resource)
    if service == "dynamodb":
        return tuple(Grant(action, table_arn(resource)) for action in _WRITES.values())
    action, before = _SENDS[service]
    return (Grant(action, _named(resource, service, before)),)


def grants_of_kind(kind: type[Target], tables: Iterable[str]) -> tuple[Grant, ...]:
    """What any target of a kind needs within the stack's own account and region; in DynamoDB, in the app's tables.

    Nothing for an `AwsCall`, which may be anything, and for an `HttpRequest`.
    """
    if kind is Email:
        return _ses_grants("identity/*", ())
    if kind in _WRITES:
        return tuple(Grant(_WRITES[kind], table_arn(table)) for table in tables)
    if kind not in _ANY:
        return ()
    action, before = _SENDS[_ANY[kind]]
    return (Grant(action, _named("*", _ANY[kind], before)),)


_WRITES: Mapping[type, str] = {
    PutItem: "dynamodb:PutItem",
    UpdateItem: "dynamodb:UpdateItem",
    DeleteItem: "dynamodb:DeleteItem",
}
#: By service: the action that sends a target there, and what stands before the name in such an ARN.
_SENDS: Mapping[str, tuple[str, str]] = {
    "sqs": ("sqs:SendMessage", ""),
    "sns": ("sns:Publish", ""),
    "states": ("states:StartExecution", "stateMachine:"),
    "lambda": ("lambda:InvokeFunction", "function:"),
    "events": ("events:PutEvents", "event-bus/"),
}
_ANY: Mapping[type, str] = {
    QueueMessage: "sqs",
    Notification: "sns",
    StateMachine: "states",
    Function: "lambda",
    BusEvent: "events",
}


def _named(name: str, service: str, before: str) -> str:
    return name if name.startswith("arn:") else PLACE.arn(service, f"{before}{name}")


def _email_grants(source: str) -> tuple[Grant, ...]:
    address = parse_address(source)
    conditions = (("StringEqualsIgnoreCase", "ses:FromAddress", address.spec),)
    # What was verified may be the address, its domain, or a domain above: SES asks for the one that it uses.
    identities = [literal(address.spec), *_domains(address.domain)]
    return tuple(grant for identity in identities for grant in _ses_grants(f"identity/{identity}", conditions))


def _domain_grants(domain: str) -> tuple[Grant, ...]:
    conditions = (("StringLike", "ses:FromAddress", f"*@{domain}"),)
    identities = [f"*@{domain}", *_domains(domain)]
    return tuple(grant for identity in identities for grant in _ses_grants(f"identity/{identity}", conditions))


def _domains(domain: str) -> list[str]:
    """The domain and those above it, down to two labels."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]


def _ses_grants(identity: str, conditions: tuple[Condition, ...]) -> tuple[Grant, ...]:
    # An identity may have a default configuration set, on which SES asks for the same permission.
    return (
        Grant("ses:SendEmail", PLACE.arn("ses", identity), conditions),
        Grant("ses:SendEmail", PLACE.arn("ses", "configuration-set/*"), conditions),
    )


def _call_grants(service: str, action: str, parameters: Mapping[str, Any]) -> tuple[Grant, ...]:
    known = _CALLS.get((service, action))
    try:
        grants = () if known is None else tuple(known(parameters))
    except (KeyError, ValueError, TypeError, AttributeError):
        grants = ()
    if not grants:
        raise UnknownResourceError(f"{service}:{action} may be any call, so what it needs is not known")
    return grants


def _queue_grants(parameters: Mapping[str, Any]) -> Iterable[Grant]:
    return [Grant("sqs:SendMessage", parse_queue(parameters["QueueUrl"]).arn(PLACE))]


def _events_grants(parameters: Mapping[str, Any]) -> Iterable[Grant]:
    buses = [entry.get("EventBusName", "default") for entry in parameters["Entries"]]
    return [Grant("events:PutEvents", _named(bus, "events", "event-bus/")) for bus in dict.fromkeys(buses)]


def _bucket_grants(parameters: Mapping[str, Any], action: str) -> Iterable[Grant]:
    return [Grant(action, f"arn:${{AWS::Partition}}:s3:::{literal(parameters['Bucket'])}/{literal(parameters['Key'])}")]


def _instance_grants(parameters: Mapping[str, Any], action: str) -> Iterable[Grant]:
    return [Grant(action, PLACE.arn("ec2", f"instance/{one}")) for one in parameters["InstanceIds"]]


def _template_grants(parameters: Mapping[str, Any]) -> Iterable[Grant]:
    template = PLACE.arn("ses", f"template/{parameters['Template']}")
    emails = _email_grants(parameters["Source"])
    return [
        *(Grant("ses:SendTemplatedEmail", one.resource, one.conditions) for one in emails),
        Grant("ses:SendTemplatedEmail", template, emails[0].conditions),
    ]


#: Universal targets whose request says what they act on. For all others a rule says it with ``allow``.
_CALLS: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Iterable[Grant]]] = {
    ("sqs", "sendMessage"): _queue_grants,
    ("sns", "publish"): lambda p: [Grant("sns:Publish", _named(p["TopicArn"], "sns", ""))],
    ("sfn", "startExecution"): lambda p: [Grant("states:StartExecution", p["StateMachineArn"])],
    ("lambda", "invoke"): lambda p: [
        Grant("lambda:InvokeFunction", _named(p["FunctionName"], "lambda", "function:")),
    ],
    ("eventbridge", "putEvents"): _events_grants,
    ("ses", "sendEmail"): lambda p: _email_grants(p["Source"]),
    ("ses", "sendTemplatedEmail"): _template_grants,
    ("dynamodb", "putItem"): lambda p: [Grant("dynamodb:PutItem", table_arn(p["TableName"]))],
    ("dynamodb", "updateItem"): lambda p: [Grant("dynamodb:UpdateItem", table_arn(p["TableName"]))],
    ("dynamodb", "deleteItem"): lambda p: [Grant("dynamodb:DeleteItem", table_arn(p["TableName"]))],
    ("kinesis", "putRecord"): lambda p: [
        Grant(
            "kinesis:PutRecord", p["StreamARN"] if "StreamARN" in p else _named(p["StreamName"], "kinesis", "stream/")
        )
    ],
    ("firehose", "putRecord"): lambda p: [
        Grant("firehose:PutRecord", _named(p["DeliveryStreamName"], "firehose", "deliverystream/"))
    ],
    ("s3", "putObject"): lambda p: _bucket_grants(p, "s3:PutObject"),
    ("s3", "deleteObject"): lambda p: _bucket_grants(p, "s3:DeleteObject"),
    ("ec2", "startInstances"): lambda p: _instance_grants(p, "ec2:StartInstances"),
    ("ec2", "stopInstances"): lambda p: _instance_grants(p, "ec2:StopInstances"),
}


def statements_of(grants: Iterable[Grant], sid: str) -> list[dict[str, Value]]:
    """Statements of a policy: grants on the same resources, under the same conditions, together.

    Args:
        grants: in any order, also repeated.
        sid: what their Sids begin with; they are numbered where there are several.
    """
    resources: dict[tuple[str, tuple[Condition, ...]], list[str]] = {}
    for grant in sorted(set(grants)):
        resources.setdefault((grant.action, grant.conditions), []).append(grant.resource)
    actions: dict[tuple[tuple[str, ...], tuple[Condition, ...]], list[str]] = {}
    for (action, conditions), on in resources.items():
        actions.setdefault((tuple(on), conditions), []).append(action)
    many = len(actions) > 1
    return [
        _statement(f"{sid}{number}" if many else sid, names, on, conditions)
        for number, ((on, conditions), names) in enumerate(actions.items(), start=1)
    ]


def _statement(
    sid: str, actions: list[str], resources: tuple[str, ...], conditions: tuple[Condition, ...]
) -> dict[str, Value]:
    statement: dict[str, Value] = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": [sub(resource) for resource in resources],
    }
    for operator, key, value in conditions:
        statement.setdefault("Condition", {}).setdefault(operator, {})[key] = value
    return statement
