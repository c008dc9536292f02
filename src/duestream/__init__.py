"""Actions that follow your data, on time."""

from duestream.core.app import App
from duestream.core.rule import Due
from duestream.core.schedule import Retry
from duestream.core.target import AwsCall, DeleteItem, Email, HttpRequest, PutItem, QueueMessage, UpdateItem
from duestream.errors import Error, RuleError

__all__ = [
    "App",
    "AwsCall",
    "DeleteItem",
    "Due",
    "Email",
    "Error",
    "HttpRequest",
    "PutItem",
    "QueueMessage",
    "Retry",
    "RuleError",
    "UpdateItem",
]
