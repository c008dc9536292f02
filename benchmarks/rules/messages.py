"""The same job with a queue message as target, so that a client can see when it arrives."""

from typing import Any

from duestream import App, QueueMessage

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item: dict[str, Any]) -> QueueMessage:
    """The message says which item it is for, and when it was due."""
    return QueueMessage("reminders", {"PK": item["PK"], "due_at": item["REMINDER_TIMESTAMP"]})
