"""What an app costs on AWS a month: its rules as they are, and what each would cost as a sweep or as schedules.

An estimate from counts, pure. What it leaves out, because it does not hang on the strategy: the items' own writes and
storage, the users' own readers, data transfer, and what a target costs beyond being called once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from duestream.aws.upkeep.prices import PRICES
from duestream.core.app import App
from duestream.core.rule import Rule
from duestream.core.sweep import Sweep

MONTH = timedelta(days=30)
Strategy = Literal["schedules", "sweep"]

#: Stream records that come together in one call of the stream function, on average (its batch is at most 100).
RECORDS_PER_CALL = 10
#: What one record costs of the stream function's time: it puts schedules side by side, waiting for most of it.
MS_PER_RECORD = 6
#: What one delivery costs of the when-due function's time, before the user's own code.
MS_PER_DELIVERY = 60
#: What a sweep costs before and for each item that it finds.
MS_PER_SWEEP = 150
MS_PER_SWEPT_ITEM = 4
MEMORY_GB = Decimal("0.5")
LOG_BYTES_PER_CALL = 500
#: Entries of the index: the table's key, the shard and the timestamp.
INDEX_ENTRY_BYTES = 150
READ_UNIT_BYTES = 4096
ALARMS, METRICS = 14, 12


@dataclass(frozen=True, slots=True)
class Load:
    """How much happens in a month.

    Args:
        items: written into each table, each with a timestamp that comes for each rule.
        changes: how often an item's timestamp is moved, on average.
        occurrences: of each item of a recurring rule.
        item_bytes: how large an item is.
        free_tier: count what AWS gives every account every month for nothing.
    """

    items: int
    changes: Decimal = Decimal("0.2")
    occurrences: int = 30
    item_bytes: int = 1024
    free_tier: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of one price, and what they are for."""

    price: str
    units: Decimal
    what: str


@dataclass(frozen=True, slots=True)
class RuleCost:
    """One rule under one strategy."""

    table_name: str
    rule: str
    strategy: Strategy
    #: It is what the rule says.
    is_chosen: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """All of it. A rule that both strategies can carry out is there twice.

    Args:
        rules: each rule by each strategy that can carry it out.
        streams: what reading a table's stream costs, whatever the number of rules that go by schedules; by table.
        fixed: what the stack costs whatever happens.
        load: what it was made for.
    """

    rules: tuple[RuleCost, ...]
    streams: Mapping[str, tuple[Line, ...]]
    fixed: tuple[Line, ...]
    load: Load

    def dollars(self, lines: Iterable[Line]) -> dict[str, Decimal]:
        """Dollars a month by price; what AWS gives for nothing is taken off once, from all of them together."""
        units: dict[str, Decimal] = {}
        for line in lines:
            units[line.price] = units.get(line.price, Decimal(0)) + line.units
        return {name: PRICES[name].of(count, free_tier=self.load.free_tier) for name, count in units.items()}

    def total(self, lines: Iterable[Line]) -> Decimal:
        """Dollars a month."""
        return sum(self.dollars(lines).values(), Decimal(0))

    @property
    def chosen(self) -> list[Line]:
        """The lines of the app as it is, with what is fixed."""
        return self._lines([cost for cost in self.rules if cost.is_chosen])

    def if_all(self, strategy: Strategy) -> list[Line]:
        """The lines if every rule that can did it this way, with what is fixed."""
        both = {(cost.table_name, cost.rule) for cost in self.rules if cost.strategy == strategy}
        return self._lines(
            [
                cost
                for cost in self.rules
                if cost.strategy == strategy or (cost.is_chosen and (cost.table_name, cost.rule) not in both)
            ]
        )

    def _lines(self, costs: Sequence[RuleCost]) -> list[Line]:
        watched = {cost.table_name for cost in costs if cost.strategy == "schedules"}
        streams = [line for name, lines in self.streams.items() if name in watched for line in lines]
        return [*(line for cost in costs for line in cost.lines), *streams, *self.fixed]


def estimate(app: App, load: Load) -> Estimate:
    """What the app's rules cost under this load.

    Args:
        app: its rules.
        load: of each of its tables.
    """
    records = load.items * (2 + load.changes)  # written, moved, deleted in the end
    reading = tuple(_lambda_lines(records / RECORDS_PER_CALL, records * MS_PER_RECORD, "the stream function"))
    costs: list[RuleCost] = []
    for rule in app.rules:
        chosen: Strategy = "schedules" if rule.via is None else "sweep"
        costs.append(_cost(rule, "schedules", _schedule_lines(rule, load), chosen))
        if can_sweep(rule):
            costs.append(_cost(rule, "sweep", _sweep_lines(rule, rule.via or Sweep("index"), load), chosen))
    fixed = [
        Line("alarms", Decimal(ALARMS), "alarms"),
        Line("dashboards", Decimal(1), "the dashboard"),
        Line("metrics", Decimal(METRICS), "lateness and counts"),
    ]
    return Estimate(tuple(costs), {table.name: reading for table in app.tables if table.rules}, tuple(fixed), load)


def can_sweep(rule: Rule) -> bool:
    """Whether a sweep can carry the rule out as well."""
    plain = rule.when_due is None and rule.repeats is None and not rule.offset and not rule.guarded
    return rule.via is not None or plain


def _cost(rule: Rule, strategy: Strategy, lines: Sequence[Line], chosen: Strategy) -> RuleCost:
    return RuleCost(rule.table.name, rule.name, strategy, strategy == chosen, tuple(lines))


def _schedule_lines(rule: Rule, load: Load) -> list[Line]:
    """One schedule for each item: Scheduler invokes, the target is called."""
    deliveries = Decimal(load.items * (load.occurrences if rule.repeats is not None else 1))
    lines = [Line("scheduler", deliveries, "deliveries")]
    if is_sent_by_function(rule):
        lines += [
            *_lambda_lines(deliveries, deliveries * MS_PER_DELIVERY, "the when-due function"),
            Line("dynamodb reads", deliveries * _units(load.item_bytes, READ_UNIT_BYTES), "the item as it then is"),
            Line("dynamodb writes", deliveries * 2, "marks, so that nothing is done twice"),
        ]
    return [*lines, *_target_lines(rule, deliveries, load)]


def _sweep_lines(rule: Rule, sweep: Sweep, load: Load) -> list[Line]:
    """A sharded index, queried again and again."""
    sweeps = Decimal(MONTH // sweep.every)
    items = Decimal(load.items)
    entries_bytes = items * INDEX_ENTRY_BYTES
    return [
        Line("scheduler", sweeps, "sweeps"),
        *_lambda_lines(sweeps, sweeps * MS_PER_SWEEP + items * MS_PER_SWEPT_ITEM, "the sweep function"),
        Line(
            "dynamodb reads", sweeps * sweep.shards / 2 + entries_bytes / READ_UNIT_BYTES / 2, "queries of the shards"
        ),
        Line("dynamodb writes", items * (2 + load.changes * 2), "the index kept"),
        *_target_lines(rule, items, load),
        *([] if _deletes(rule) else [Line("dynamodb writes", items * 2, "the shard attribute removed")]),
    ]


def is_sent_by_function(rule: Rule) -> bool:
    """Whether its deliveries go through the when-due function."""
    kinds = [target.kind for target in rule.action] if isinstance(rule.action, tuple) else []
    return rule.when_due is not None or rule.guarded or "http-request" in kinds


def _deletes(rule: Rule) -> bool:
    return isinstance(rule.action, tuple) and all(target.kind == "delete-item" for target in rule.action)


def _target_lines(rule: Rule, deliveries: Decimal, load: Load) -> list[Line]:
    """The calls themselves, of targets that are known."""
    if not isinstance(rule.action, tuple):
        return []
    lines = []
    for target in rule.action:
        price, units = _PRICE_OF_KIND.get(target.kind, (None, 0))
        if price is None:
            continue
        count = _units(load.item_bytes, 1024) if price == "dynamodb writes" else Decimal(units)
        lines.append(Line(price, deliveries * count, f"{target.kind} targets"))
    return lines


#: Price and units of one call, by the target's kind.
_PRICE_OF_KIND: dict[str, tuple[str, int]] = {
    "email": ("ses", 1),
    "queue-message": ("sqs", 1),
    "notification": ("sns", 1),
    "state-machine": ("step functions", 5),  # an execution of five states
    "lambda-function": ("lambda requests", 1),
    "bus-event": ("bus events", 1),
    "put-item": ("dynamodb writes", 1),
    "update-item": ("dynamodb writes", 1),
    "delete-item": ("dynamodb writes", 1),
}


def _lambda_lines(calls: Decimal, milliseconds: Decimal, what: str) -> list[Line]:
    return [
        Line("lambda requests", calls, what),
        Line("lambda time", milliseconds / 1000 * MEMORY_GB, what),
        Line("logs", calls * LOG_BYTES_PER_CALL / 1_000_000_000, what),
    ]


def _units(size_bytes: int, unit_bytes: int) -> Decimal:
    return Decimal(max(1, -(-size_bytes // unit_bytes)))
