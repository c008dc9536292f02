import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import duestream
from duestream import App, DeleteItem, Due, QueueMessage, Retry, RuleError
from duestream.core.app import WatchedTable
from duestream.core.rule import TableDeclaration

MESSAGE = QueueMessage("q", "body")


@pytest.fixture
def app() -> App:
    return App("clinic")


@pytest.fixture
def table(app: App) -> WatchedTable:
    return app.table("Appointments", partition_key="PK", sort_key="SK")


def plain(item: dict[str, Any]) -> QueueMessage:
    return MESSAGE


def due_plain(item: dict[str, Any], due: Due) -> None:
    pass


def test_a_rule_is_named_after_its_function_which_stays_as_it_was(app: App, table: WatchedTable) -> None:
    def reminder(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("q", item["PK"])

    decorated = table.rule("REMINDER_TIMESTAMP", offset=-timedelta(days=1))(reminder)
    assert decorated is reminder
    (rule,) = app.rules
    assert (rule.name, rule.app_name, rule.attribute) == ("reminder", "clinic", "REMINDER_TIMESTAMP")
    assert rule.table == TableDeclaration("Appointments", "PK", "SK")
    assert rule.offset == -timedelta(days=1)
    assert rule.when_due is None


def test_a_rule_with_a_target_is_named_after_attribute_and_target(table: WatchedTable) -> None:
    assert table.rule("EXPIRES_AT", DeleteItem()).name == "expires_at-delete-item"
    assert table.rule("Läuft ab", [MESSAGE, MESSAGE, DeleteItem()]).name == "l-uft-ab-queue-message-delete-item"
    assert table.rule("EXPIRES_AT", DeleteItem(), name="Own.Name_1-2").name == "Own.Name_1-2"


def test_a_function_that_runs_when_due_may_be_async_and_has_a_timeout(table: WatchedTable) -> None:
    @table.when_due("ENDS_AT", timeout=timedelta(seconds=5), retry=Retry(attempts=5, max_age=timedelta(hours=1)))
    async def ask(item: dict[str, Any], due: Due) -> None: ...

    table.when_due("ENDS_AT")(due_plain)
    asked, plain_one = table.rules
    assert asked.when_due is not None
    assert plain_one.when_due is not None
    assert (asked.when_due.is_async, asked.timeout, asked.retry.attempts) == (True, timedelta(seconds=5), 5)
    assert (plain_one.when_due.is_async, plain_one.timeout) == (False, timedelta(seconds=60))


def test_an_async_callable_object_is_async(table: WatchedTable) -> None:
    class Asker:
        async def __call__(self, item: dict[str, Any], due: Due) -> None: ...

    table.when_due("ENDS_AT", name="asker")(Asker())
    assert table.rules[0].when_due is not None
    assert table.rules[0].when_due.is_async


def test_rules_are_found_by_table(app: App, table: WatchedTable) -> None:
    offers = app.table("Offers", partition_key="id", partition_key_type="N")
    rule, other = table.rule("A", MESSAGE), offers.rule("A", MESSAGE)
    assert app.rules == (rule, other)
    assert app.rules_of("Offers") == (other,)
    assert app.rules_of("Unknown") == ()
    assert [one.name for one in app.tables] == ["Appointments", "Offers"]


def test_a_table_is_declared_once_or_alike(app: App, table: WatchedTable) -> None:
    assert app.table("Appointments", partition_key="PK", sort_key="SK") is table
    with pytest.raises(RuleError, match="another key"):
        app.table("Appointments", partition_key="id")


def test_a_mistake_is_told_with_file_line_and_remedy(table: WatchedTable) -> None:
    frame = inspect.currentframe()
    assert frame is not None
    with pytest.raises(RuleError) as raised:
        table.rule("A", MESSAGE, timezon="UTC")  # type: ignore[call-overload]
    line = frame.f_lineno - 1
    assert raised.value.location == f"{Path(__file__)}:{line}"
    assert str(raised.value) == (
        f"{Path(__file__)}:{line}: rule 'a-queue-message': there is no option timezon. Did you mean timezone?"
    )


def test_a_mistake_in_a_decorated_function_is_told_where_the_rule_is(table: WatchedTable) -> None:
    with pytest.raises(RuleError, match="cannot be called") as raised:

        @table.rule("A")
        def without_item() -> None: ...

    assert raised.value.location is not None
    assert raised.value.location.startswith(f"{Path(__file__)}:")


async def async_rule(item: dict[str, Any]) -> None: ...
def yielding(item: dict[str, Any]) -> Iterator[QueueMessage]: yield MESSAGE  # fmt: skip


async def async_yielding(item: dict[str, Any], due: Due) -> AsyncIterator[int]: yield 1  # fmt: skip


#: Untyped, as most rule files are.
Mistake = Callable[[Any, Any], object]
MISTAKES: list[tuple[Mistake, str]] = [
    (lambda a, t: App(""), "cannot be named"),
    (lambda a, t: App("with.dot"), "cannot be named"),
    (lambda a, t: App("x" * 56), "cannot be named"),
    (lambda a, t: App(t), "cannot be named"),
    (lambda a, t: a.table("x", partition_key="id"), "names no table"),
    (lambda a, t: a.table("arn:aws:dynamodb:us-east-1:000000000000:table/Offers", partition_key="id"), "not its ARN"),
    (lambda a, t: a.table("Offers", partition_key=""), "names no attribute"),
    (lambda a, t: a.table("Offers", partition_key="id", sort_key="id"), "same attribute"),
    (lambda a, t: a.table("Offers", partition_key="id", partition_key_type="BOOL"), "no key's type"),
    (lambda a, t: t.rule(plain), "no timestamp attribute"),
    (lambda a, t: t.rule("", MESSAGE), "no timestamp attribute"),
    (lambda a, t: t.when_due(due_plain), "no timestamp attribute"),
    (lambda a, t: t.rule("A", MESSAGE, name=""), "cannot be named"),
    (lambda a, t: t.rule("A", MESSAGE, name="two words"), "cannot be named"),
    (lambda a, t: t.rule("A", MESSAGE, name="x" * 41), "cannot be named"),
    (lambda a, t: t.rule("A" * 40, MESSAGE), "cannot be named"),
    (lambda a, t: t.rule("A")(lambda item: None), "cannot be named '<lambda>'"),
    (lambda a, t: (t.rule("A", MESSAGE), t.rule("A", MESSAGE)), "of this name already"),
    (lambda a, t: t.rule("A", "queue"), "is no target"),
    (lambda a, t: t.rule("A", [MESSAGE, None]), "is no target"),
    (lambda a, t: t.rule("A", []), "without targets"),
    (lambda a, t: t.rule("A", MESSAGE, timezone="Mars/Olympus"), "is unknown"),
    (lambda a, t: t.rule("A", MESSAGE, offset=60), "no timedelta"),
    (lambda a, t: t.rule("A", MESSAGE, max_lateness=60), "no timedelta"),
    (lambda a, t: t.rule("A", MESSAGE, max_lateness=-timedelta(1)), "negative"),
    (lambda a, t: t.rule("A", MESSAGE, past_due="drop"), "no policy"),
    (lambda a, t: t.rule("A", MESSAGE, past_due=[]), "no policy"),
    (lambda a, t: t.rule("A", MESSAGE, retry=5), "no Retry"),
    (lambda a, t: t.rule("A", MESSAGE, timezone_attribute=""), "names no attribute"),
    (lambda a, t: t.rule("A", MESSAGE, when=True), "no plain function"),
    (lambda a, t: t.rule("A", MESSAGE, when=async_rule), "no plain function"),
    (lambda a, t: t.rule("A", MESSAGE, when=lambda: True), "cannot be called"),
    (lambda a, t: t.rule("A", MESSAGE, timeout=timedelta(1)), "no option timeout"),
    (lambda a, t: t.rule("A")(async_rule), "is async"),
    (lambda a, t: t.rule("A")(yielding), "yields"),
    (lambda a, t: t.rule("A")(due_plain), "cannot be called"),
    (lambda a, t: t.rule("A")(MESSAGE), "decorates a function"),
    (lambda a, t: t.when_due("A")(plain), "cannot be called"),
    (lambda a, t: t.when_due("A")(async_yielding), "yields"),
    (lambda a, t: t.when_due("A", timeout=timedelta(0))(due_plain), "no time"),
]


@pytest.mark.parametrize(("declare", "problem"), MISTAKES)
def test_every_mistake_is_refused_as_it_is_declared(
    app: App, table: WatchedTable, declare: Mistake, problem: str
) -> None:
    with pytest.raises(RuleError, match=problem) as raised:
        declare(app, table)
    assert raised.value.location is not None
    assert raised.value.location.startswith(__file__)
    assert raised.value.remedy.endswith((".", "?"))


def test_a_rule_that_was_refused_is_not_there(app: App, table: WatchedTable) -> None:
    with pytest.raises(RuleError):
        table.rule("A", MESSAGE, timezone="Mars/Olympus")
    assert app.rules == ()


DESIGN_EXAMPLE = """
from datetime import timedelta
from duestream import App, DeleteItem, Email, QueueMessage, Retry

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")

@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item):
    return Email(source="clinic@example.com", to=item["email"],
                 subject="Time for your appointment", text="You have a reminder")

@appointments.rule("STARTS_AT", offset=-timedelta(days=1), timezone_attribute="TZ")
def day_before(item):
    return None if item.get("CANCELLED") else QueueMessage("reminders", {"pk": item["PK"]})

@appointments.when_due("ENDS_AT", retry=Retry(attempts=5, max_age=timedelta(hours=1)))
def ask_for_review(item, due):
    ...

appointments.rule("EXPIRES_AT", DeleteItem())
"""


def test_the_example_of_the_design_loads_as_written() -> None:
    names: dict[str, Any] = {}
    exec(DESIGN_EXAMPLE, names)
    assert [rule.name for rule in names["app"].rules] == [
        "reminder",
        "day_before",
        "ask_for_review",
        "expires_at-delete-item",
    ]
    assert names["reminder"]({"email": "a@example.com"}).to == "a@example.com"


def test_the_package_offers_its_public_names() -> None:
    assert all(hasattr(duestream, name) for name in duestream.__all__)
