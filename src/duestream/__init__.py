"""Actions that follow your data, on time."""

from duestream.core.app import App
from duestream.core.rule import Due
from duestream.core.schedule import Retry
from duestream.core.service_targets import BusEvent, Function, Notification, StateMachine
from duestream.core.sweep import Sweep
from duestream.core.target import AwsCall, DeleteItem, Email, HttpRequest, PutItem, QueueMessage, UpdateItem
from duestream.errors import Error, RuleError

__all__ = [
    "App",
    "AwsCall",
    "BusEvent",
    "DeleteItem",
    "Due",
    "Email",
    "Error",
    "Function",
    "HttpRequest",
    "Notification",
    "PutItem",
    "QueueMessage",
    "Retry",
    "RuleError",
    "StateMachine",
    "Sweep",
    "UpdateItem",
]
