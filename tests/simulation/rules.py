"""The app of the simulation: every kind of action, each watching one of an item's timestamps.

What each rule must lead to is said once more, in other words, in `oracle.RULES`.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from duestream import App, DeleteItem, Due, Email, QueueMessage, Retry, UpdateItem

APP = "sim"
TABLE = "Things"
LOG = "Log"
#: The queues that are there; `absent` names one that never is.
QUEUES = ("before", "several")


def key_text(item: Any) -> str:
    """One word for an item's key."""
    return f"{item['PK']}/{item['SK']}"


def make_app(review: Callable[[dict[str, Any], Due], None]) -> App:
    """The app; `review` is the function that runs when `B` is due."""
    app = App(APP)
    things = app.table(TABLE, partition_key="PK", sort_key="SK")
    app.table(LOG, partition_key="id")

    @things.rule("A")
    def mail(item: dict[str, Any]) -> Email:
        if item.get("TEXT") == "raise":
            raise RuntimeError("on purpose")
        return Email(
            source="sim@example.com", to="abc@example.com", subject=f"{key_text(item)} {item.get('TEXT')}", text="-"
        )

    @things.rule(
        "A", offset=-timedelta(minutes=1), past_due="skip", when=lambda item: item.get("KIND", "loud") != "quiet"
    )
    def before(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("before", key_text(item))

    @things.rule("B", past_due="dead_letter")
    def several(item: dict[str, Any]) -> list[QueueMessage]:
        count = int(item.get("COUNT", 0))
        return [QueueMessage("several", f"{key_text(item)} {number} {item.get('TEXT')}") for number in range(count)]

    @things.rule("C", max_lateness=timedelta(minutes=1))
    def count(item: dict[str, Any]) -> UpdateItem:
        return UpdateItem(LOG, {"id": key_text(item)}, "ADD n :one", values={":one": 1})

    @things.rule("C", retry=Retry(attempts=2, max_age=timedelta(minutes=5)))
    def absent(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("absent", key_text(item))

    things.rule("EXPIRES", DeleteItem(), name="expire")
    things.when_due("B", name="review", retry=Retry(attempts=3, max_age=timedelta(hours=1)))(review)
    return app
