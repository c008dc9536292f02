"""The rules that are measured: a message for each appointment."""

from duestream import App, QueueMessage

app = App("clinic")
appointments = app.table("Appointments", partition_key="PK", sort_key="SK")
appointments.rule("REMINDER_TIMESTAMP", QueueMessage("reminders"), name="reminder")
