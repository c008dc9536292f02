"""Plans that bill themselves, each by the schedule that it keeps.

    duestream up examples/plans.py

An item of Plans with SCHEDULE = "cron(0 9 1 * ? *)" and TZ = "Europe/Berlin" puts a message into the queue `billing`
at nine in the morning on the first of each month, until UNTIL. With REPORT = "rate(1 day)" the function below runs
once a day, from the moment at which the item was written. The queue is yours to make:
`aws sqs create-queue --queue-name billing`.
"""

from typing import Any

from duestream import App, Due, QueueMessage

app = App("billing")
plans = app.table("Plans", partition_key="id")

plans.recurring("SCHEDULE", QueueMessage("billing"), timezone_attribute="TZ", start="FROM", end="UNTIL")


@plans.recurring_when_due("REPORT", catch_up="skip")
def report(item: dict[str, Any], due: Due) -> None:
    """Runs each time, with the item as it is then."""
    print(f"plan {item['id']} at {due.due_at}")
