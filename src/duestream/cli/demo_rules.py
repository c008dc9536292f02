"""The rule file of `duestream demo`: part of examples/appointments.py. It is copied and served like any other."""

from typing import Any

from duestream import App, Email

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item: dict[str, Any]) -> Email:
    """An email at the moment that the item names."""
    return Email(
        source="clinic@example.com",
        to=item["email"],
        subject="Time for your appointment",
        text=f"You have a reminder: {item['ATTR_1']}",
    )
