"""DynamoDB's expression language, on attribute values in wire form and normal form."""

from duestream.core.expression.conditions import Condition, parse_condition
from duestream.core.expression.keys import KeyCondition, SortCondition, parse_key_condition
from duestream.core.expression.placeholders import Placeholders
from duestream.core.expression.projections import Projection, parse_projection
from duestream.core.expression.updates import Update, parse_update

__all__ = [
    "Condition",
    "KeyCondition",
    "Placeholders",
    "Projection",
    "SortCondition",
    "Update",
    "parse_condition",
    "parse_key_condition",
    "parse_projection",
    "parse_update",
]
