"""Appointments that send their own reminders.

    duestream up examples/appointments.py
    sh examples/appointments.sh

An item of Appointment-Table with a REMINDER_TIMESTAMP gets its email at that moment. Change the timestamp and
the email moves; delete the item and there is none.
"""

from datetime import timedelta
from typing import Any

from duestream import App, DeleteItem, Due, Email, QueueMessage, Retry

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item: dict[str, Any]) -> Email | None:
    """An email at the moment that the item names; made when the item is written."""
    if "email" not in item:
        return None
    return Email(
        source="clinic@example.com",
        to=item["email"],
        subject="Time for your appointment",
        text=f"You have a reminder: {item.get('ATTR_1', 'see your calendar')}",
    )


@appointments.rule("STARTS_AT", offset=-timedelta(days=1), timezone_attribute="TZ")
def day_before(item: dict[str, Any]) -> QueueMessage | None:
    """A message one day ahead; STARTS_AT may be local time in the zone that the item's TZ names."""
    return None if item.get("CANCELLED") else QueueMessage("reminders", {"pk": item["PK"], "sk": item["SK"]})


@appointments.when_due("ENDS_AT", retry=Retry(attempts=5, max_age=timedelta(hours=1)))
def ask_for_review(item: dict[str, Any], due: Due) -> None:
    """Runs itself when the appointment ends, with the item as it is then. An exception means: try again."""
    print(f"appointment {item['PK']} ended at {due.due_at}; its delivery is {due.delivery_id}")


appointments.rule("EXPIRES_AT", DeleteItem())
