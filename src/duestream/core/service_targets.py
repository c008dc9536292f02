"""Targets in further services of AWS: topics, workflows, functions, event buses.

They check themselves as those of `duestream.core.target` do, and raise what those raise.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from duestream.core.json_text import json_text
from duestream.core.schedule import Invocation, Place
from duestream.core.target_names import check_text

#: PutEvents (API reference, PutEventsRequestEntry) and the templated target's EventBridgeParameters.
MAX_DETAIL_TYPE_LENGTH = 128
MAX_SOURCE_LENGTH = 256
#: SNS's (API reference, Publish): "must be ASCII text that begins with a letter, number, or punctuation mark".
MAX_SUBJECT_LENGTH = 99

_ARN = r"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:{resource}"
_is_topic_name = re.compile(r"[A-Za-z0-9_-]{1,256}(?:\.fifo)?").fullmatch
_is_topic_arn = re.compile(_ARN.format(service="sns", resource=r"[A-Za-z0-9_-]{1,256}(?:\.fifo)?")).fullmatch
_is_machine_name = re.compile(r"[A-Za-z0-9_-]{1,80}").fullmatch
_is_machine_arn = re.compile(
    _ARN.format(service="states", resource=r"stateMachine:[A-Za-z0-9_-]{1,80}(?::[A-Za-z0-9_-]{1,80})?")
).fullmatch
_is_function_name = re.compile(r"[A-Za-z0-9_-]{1,64}(?::[A-Za-z0-9_$-]{1,128})?").fullmatch
_is_function_arn = re.compile(
    _ARN.format(service="lambda", resource=r"function:[A-Za-z0-9_-]{1,64}(?::[A-Za-z0-9_$-]{1,128})?")
).fullmatch
_is_bus_name = re.compile(r"[A-Za-z0-9_./-]{1,256}").fullmatch
_is_bus_arn = re.compile(_ARN.format(service="events", resource=r"event-bus/[A-Za-z0-9_./-]{1,256}")).fullmatch

#: Functions of the app itself, which run when due, have ARNs that end so.
WHEN_DUE_ENDING = "-when-due"


def universal_arn(service: str, action: str, partition: str = "aws") -> str:
    """The target ARN of an AWS call without a templated target, such as SES's and DynamoDB's."""
    return f"arn:{partition}:scheduler:::aws-sdk:{service}:{action}"


def set_input(target: object, text: str) -> None:
    """Keep a target's finished input in its `_input`: what __init__ of a frozen dataclass does itself."""
    object.__setattr__(target, "_input", text)


@dataclass(frozen=True, slots=True)
class Notification:
    """A message published to an SNS topic.

    Args:
        topic: the topic's name or ARN. A name is one in the app's own account and region.
        message: a text is sent as it is, anything else as JSON.
        subject: for the topic's email subscribers; one line of ASCII.
    """

    kind: ClassVar[str] = "notification"

    topic: str
    message: Any
    subject: str | None = None
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name("Notification(topic=...)", self.topic, _is_topic_name, _is_topic_arn)
        if self.topic.endswith(".fifo"):
            raise ValueError(
                f"Notification(topic={self.topic!r}) is a FIFO topic, which needs a message group. "
                "Answer AwsCall('sns', 'publish', {'TopicArn': ..., 'Message': ..., 'MessageGroupId': ...})."
            )
        if not check_text("Notification(message=...)", text := _text("Notification(message=...)", self.message)):
            raise ValueError("Notification(message=...) is empty, which SNS refuses. Send a text or a value.")
        if self.subject is not None:
            check_text("Notification(subject=...)", self.subject, one_line=True)
            if not self.subject.isascii() or not 1 <= len(self.subject) <= MAX_SUBJECT_LENGTH:
                raise ValueError(
                    f"Notification(subject={self.subject!r}) must be 1 to {MAX_SUBJECT_LENGTH} characters of ASCII."
                )
        set_input(self, text)

    def invocation(self, place: Place) -> Invocation:
        """The topic's ARN; with a subject SNS's ``publish``, universal."""
        arn = self.topic if self.topic.startswith("arn:") else place.arn("sns", self.topic)
        if self.subject is None:
            return Invocation(arn, self._input)
        request = {"TopicArn": arn, "Message": self._input, "Subject": self.subject}
        return Invocation(universal_arn("sns", "publish", place.partition), json_text(request))


@dataclass(frozen=True, slots=True)
class StateMachine:
    """An execution of a Step Functions state machine.

    Args:
        state_machine: its name or ARN. A name is one in the app's own account and region.
        input: sent as JSON; a text must be JSON already.
        execution_name: None: the delivery id, so that a repeated attempt starts nothing anew.
    """

    kind: ClassVar[str] = "state-machine"

    state_machine: str
    input: Any = field(default_factory=dict)
    execution_name: str | None = None
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name("StateMachine(state_machine=...)", self.state_machine, _is_machine_name, _is_machine_arn)
        if self.execution_name is not None and not _matches(_is_machine_name, self.execution_name):
            raise ValueError(
                f"StateMachine(execution_name={self.execution_name!r}) must be 1 to 80 letters, digits, - and _."
            )
        set_input(self, _json("StateMachine(input=...)", self.input))

    def invocation(self, place: Place) -> Invocation:
        """The state machine's ARN; with a name for the execution Step Functions' ``startExecution``, universal."""
        arn = self.state_machine
        if not arn.startswith("arn:"):
            arn = place.arn("states", f"stateMachine:{arn}")
        if self.execution_name is None:
            return Invocation(arn, self._input)
        request = {"StateMachineArn": arn, "Input": self._input, "Name": self.execution_name}
        return Invocation(universal_arn("sfn", "startExecution", place.partition), json_text(request))


@dataclass(frozen=True, slots=True)
class Function:
    """An asynchronous invocation of a Lambda function.

    Args:
        function: its name (``name`` or ``name:alias``) or ARN. A name is one in the app's own account and region.
        payload: sent as JSON; a text must be JSON already.
    """

    kind: ClassVar[str] = "lambda-function"

    function: str
    payload: Any = field(default_factory=dict)
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name("Function(function=...)", self.function, _is_function_name, _is_function_arn)
        if self.function.endswith(WHEN_DUE_ENDING):
            raise ValueError(
                f"Function(function={self.function!r}): names that end in {WHEN_DUE_ENDING} are those of the app's "
                "own when_due functions. Name the function differently."
            )
        set_input(self, _json("Function(payload=...)", self.payload))

    def invocation(self, place: Place) -> Invocation:
        """The function's ARN, with the payload as input."""
        arn = self.function
        return Invocation(arn if arn.startswith("arn:") else place.arn("lambda", f"function:{arn}"), self._input)


@dataclass(frozen=True, slots=True)
class BusEvent:
    """An event put on an EventBridge event bus.

    Args:
        detail_type: what kind of event it is, ``Appointment due``.
        detail: a mapping, sent as JSON; a text must be JSON already.
        source: who says so, ``com.example.clinic``; AWS keeps ``aws.`` for itself.
        bus: the bus's name or ARN.
    """

    kind: ClassVar[str] = "bus-event"

    detail_type: str
    detail: Any
    source: str
    bus: str = "default"
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for where, value, longest in (
            ("BusEvent(detail_type=...)", self.detail_type, MAX_DETAIL_TYPE_LENGTH),
            ("BusEvent(source=...)", self.source, MAX_SOURCE_LENGTH),
        ):
            if not 1 <= len(check_text(where, value, one_line=True)) <= longest:
                raise ValueError(f"{where} is {value!r}. It has 1 to {longest} characters.")
        if self.source.startswith("aws."):
            raise ValueError(f"BusEvent(source={self.source!r}): sources that begin with aws. are AWS's own.")
        _check_name("BusEvent(bus=...)", self.bus, _is_bus_name, _is_bus_arn)
        detail = _json("BusEvent(detail=...)", self.detail)
        if not detail.lstrip().startswith("{"):
            raise ValueError("BusEvent(detail=...) must be a dict: EventBridge takes JSON objects only.")
        entry = {"EventBusName": self.bus, "Source": self.source, "DetailType": self.detail_type, "Detail": detail}
        set_input(self, json_text({"Entries": [entry]}))

    def invocation(self, place: Place) -> Invocation:
        """EventBridge's ``putEvents``, universal."""
        return Invocation(universal_arn("eventbridge", "putEvents", place.partition), self._input)


def _matches(is_it: Any, value: object) -> bool:
    return isinstance(value, str) and is_it(value) is not None


def _check_name(where: str, name: object, is_name: Any, is_arn: Any) -> None:
    if not _matches(is_arn if isinstance(name, str) and name.startswith("arn:") else is_name, name):
        raise ValueError(f"{where} is {name!r}. Give it a name of letters, digits, - and _, or an ARN.")


def _text(where: str, value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        raise TypeError(f"{where} is bytes. Give it text, or a value that JSON has a form for.")
    return value if isinstance(value, str) else json_text(value)


def _json(where: str, value: Any) -> str:
    """A value as JSON; a text that is JSON as it is."""
    text = check_text(where, _text(where, value))
    if isinstance(value, str):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"{where} is a text that is not JSON. Give it the value itself, or JSON.") from None
    return text
