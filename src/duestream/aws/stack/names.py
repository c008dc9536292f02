"""Names in the stack: logical ids, physical names, and ARNs as CloudFormation fills them in."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from duestream.core.schedule import Place

#: A value of a template: text, number, boolean, list, or mapping.
Value = Any
Resource = dict[str, Value]
Resources = dict[str, Resource]
#: Its ARNs are texts for ``Fn::Sub``; the core's own functions fill it in, so that names are derived in one place.
PLACE = Place(region="${AWS::Region}", account_id="${AWS::AccountId}", partition="${AWS::Partition}")
#: CloudFormation's ids have at most 255 characters, and other ids begin with a table's.
_MAX_WORDS_LENGTH = 200
#: The logical id of the table that `deliveries_table` names.
DELIVERIES_ID = "DeliveriesTable"


def sub(text: str) -> Value:
    """The text, filled in by CloudFormation if there is something to fill in."""
    return {"Fn::Sub": text} if "${" in text else text


def literal(text: str) -> str:
    """For `sub`: a user's text, in which neither CloudFormation nor IAM finds anything to fill in or to match."""
    return re.sub(r"[*?]|[$](?=\{)", lambda found: f"${{!{found[0]}}}", text)


def ref(logical_id: str) -> Value:
    """A resource's or parameter's own value."""
    return {"Ref": logical_id}


def attribute(logical_id: str, name: str) -> Value:
    """A resource's attribute, mostly its ``Arn``."""
    return {"Fn::GetAtt": [logical_id, name]}


def our_arn(service: str, resource: str) -> Value:
    """The ARN of something in the stack's own account and region."""
    return sub(PLACE.arn(service, resource))


def table_arn(table: str) -> str:
    """Text for `sub`: the ARN of a table named by its name or ARN."""
    return table if table.startswith("arn:") else PLACE.arn("dynamodb", f"table/{table}")


def table_ids(tables: Iterable[str]) -> Mapping[str, str]:
    """Logical ids of tables: ``Appointment-Table`` is ``AppointmentTable``, ``Offers`` is ``OffersTable``.

    Names that differ only in what no logical id has are numbered, and so are those that would get the stack's own.
    """
    ids: dict[str, str] = {}
    for table in tables:
        words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^0-9A-Za-z]+", table))
        words = words[:_MAX_WORDS_LENGTH]
        base = words if words.endswith("Table") else f"{words}Table"
        taken = (*ids.values(), DELIVERIES_ID)
        number = sum(known == base or known.rstrip("0123456789") == f"{base}No" for known in taken)
        ids[table] = base if number == 0 else f"{base}No{number + 1}"
    return ids


def function_name(app_name: str, part: str) -> str:
    """``clinic-stream``, ``clinic-when-due``, ``clinic-sweep``."""
    return f"{app_name}-{part}"


def deliveries_table(app_name: str) -> str:
    """The table in which the due function keeps what it has done."""
    return f"{app_name}-deliveries"
