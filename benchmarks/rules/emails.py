"""Part 3's job: an email at the moment that the item names. What the benchmarks write is watched by this rule."""

from typing import Any

from duestream import App, Email

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item: dict[str, Any]) -> Email:
    """The reminder."""
    return Email(
        source="clinic@example.com",
        to=item["email"],
        subject="Time for your appointment",
        text=f"You have a reminder: {item['ATTR_1']}",
    )
