"""PartiQL as DynamoDB speaks it: from a statement's text to conditions, updates and reads. Pure."""

from duestream.core.partiql.conditions import IfPresent, bind_condition, joined, parts_of
from duestream.core.partiql.key_plan import KeyPlan, KeyRange, KeySchema, Read, attributes_of, plan_reads
from duestream.core.partiql.parser import column_name, parse_statement
from duestream.core.partiql.syntax import (
    DeleteSyntax,
    InsertSyntax,
    SelectSyntax,
    Statement,
    StructTerm,
    UpdateSyntax,
)
from duestream.core.partiql.updates import bind_update
from duestream.core.partiql.values import NUMBER_OF_PARAMETERS, Parameters, normalize_parameters, value_of

__all__ = [
    "NUMBER_OF_PARAMETERS",
    "DeleteSyntax",
    "IfPresent",
    "InsertSyntax",
    "KeyPlan",
    "KeyRange",
    "KeySchema",
    "Parameters",
    "Read",
    "SelectSyntax",
    "Statement",
    "StructTerm",
    "UpdateSyntax",
    "attributes_of",
    "bind_condition",
    "bind_update",
    "column_name",
    "joined",
    "normalize_parameters",
    "parse_statement",
    "parts_of",
    "plan_reads",
    "value_of",
]
