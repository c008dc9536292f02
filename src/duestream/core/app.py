"""`App`: where rules are declared, and checked as they are declared.

Every mistake is a `RuleError` that names file and line of the declaration, and what to write instead.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, Unpack, overload

from duestream.core.declaration import (
    RecurringOptions,
    RecurringWhenDueOptions,
    RuleOptions,
    WhenDueOptions,
    check_app_name,
    check_attribute,
    check_fixed_targets,
    check_key,
    check_rule_function,
    check_rule_name,
    check_sweep,
    check_when_due_function,
    checked_options,
    derived_name,
    name_of,
    place_of_declaration,
)
from duestream.core.rule import DEFAULT_TIMEOUT, Repeats, Rule, TableDeclaration, TargetFunction, WhenDue
from duestream.core.target import Target
from duestream.errors import RuleError

_Function = TypeVar("_Function", bound=Callable[..., Any])


class App:
    """A set of rules under one name, which is also that of their schedule group.

    Args:
        name: 1 to 55 letters, digits, ``-`` and ``_``; queues and functions are named after it.

    Raises:
        RuleError: the name cannot be used.
    """

    def __init__(self, name: str) -> None:
        check_app_name(name, place_of_declaration())
        self.name = name
        self._tables: dict[str, WatchedTable] = {}

    def table(
        self,
        name: str,
        *,
        partition_key: str,
        sort_key: str | None = None,
        partition_key_type: str = "S",
        sort_key_type: str = "S",
    ) -> "WatchedTable":
        """A table that this app's rules watch. The local engine creates it, with its stream, if it is missing.

        Args:
            name: the table's name.
            partition_key: name of the attribute.
            sort_key: name of the attribute; None if the table has none.
            partition_key_type: ``S``, ``N`` or ``B``.
            sort_key_type: ``S``, ``N`` or ``B``.

        Raises:
            RuleError: DynamoDB has no such table, or it was declared with another key before.
        """
        location = place_of_declaration()
        declaration = TableDeclaration(name, partition_key, sort_key, partition_key_type, sort_key_type)
        check_key(declaration, location)
        known = self._tables.setdefault(name, WatchedTable(self, declaration))
        if known.declaration != declaration:
            raise RuleError(
                f"table {name!r} was declared before with another key",
                remedy="Declare a table once, and use what app.table() returned for all its rules.",
                location=location,
            )
        return known

    @property
    def tables(self) -> tuple["WatchedTable", ...]:
        """All declared tables, also those without rules, in the order of their declaration."""
        return tuple(self._tables.values())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, table by table, in the order of their declaration."""
        return tuple(rule for table in self._tables.values() for rule in table.rules)

    def rules_of(self, table_name: str) -> tuple[Rule, ...]:
        """The rules that watch a table; none if it was not declared."""
        table = self._tables.get(table_name)
        return () if table is None else table.rules


class WatchedTable:
    """A declared table, to which rules are added. Made by `App.table`."""

    def __init__(self, app: App, declaration: TableDeclaration) -> None:
        self.declaration = declaration
        self._app = app
        self._rules: dict[str, Rule] = {}

    @property
    def name(self) -> str:
        """The table's name."""
        return self.declaration.name

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The table's rules in the order of their declaration."""
        return tuple(self._rules.values())

    @overload
    def rule(self, attribute: str, /, **options: Unpack[RuleOptions]) -> Callable[[_Function], _Function]: ...

    @overload
    def rule(self, attribute: str, target: Target | Sequence[Target], /, **options: Unpack[RuleOptions]) -> Rule: ...

    def rule(
        self, attribute: str, target: Target | Sequence[Target] | None = None, /, **options: Unpack[RuleOptions]
    ) -> Rule | Callable[[_Function], _Function]:
        """A rule: what to invoke when the moment comes that an attribute names.

        With a target it is complete. Without one it decorates a function that takes the item as Python values,
        is called whenever the item is written, and answers a target, a list of targets, or None for nothing.
        The function itself is returned unchanged.

        Args:
            attribute: the timestamp attribute.
            target: what to invoke, if that does not depend on the item.
            options: see `RuleOptions`. The name is the function's, if none is given; with a target it is made
                from the attribute and the kind of target (``expires_at-delete-item``).

        Raises:
            RuleError: the rule cannot be used as written.
        """
        location = place_of_declaration()
        check_attribute(attribute, location)
        if target is not None:
            targets = check_fixed_targets(target, location)
            return self._add(derived_name(attribute, targets), attribute, targets, options, RuleOptions, location)

        def declare(function: _Function) -> _Function:
            check_rule_function(function, location)
            self._add(name_of(function), attribute, function, options, RuleOptions, location)
            return function

        return declare

    @overload
    def recurring(self, attribute: str, /, **options: Unpack[RecurringOptions]) -> Callable[[_Function], _Function]: ...

    @overload
    def recurring(
        self, attribute: str, target: Target | Sequence[Target], /, **options: Unpack[RecurringOptions]
    ) -> Rule: ...

    def recurring(
        self, attribute: str, target: Target | Sequence[Target] | None = None, /, **options: Unpack[RecurringOptions]
    ) -> Rule | Callable[[_Function], _Function]:
        """A rule for an attribute that holds a recurring schedule's expression: ``cron(...)`` or ``rate(...)``.

        The target is given or answered as in `rule`; it is what the item asked for when it was last written.

        Args:
            attribute: the attribute with the expression.
            target: what to invoke each time, if that does not depend on the item.
            options: see `RecurringOptions`. The name is made as in `rule`.

        Raises:
            RuleError: the rule cannot be used as written.
        """
        location = place_of_declaration()
        check_attribute(attribute, location)
        if target is not None:
            targets = check_fixed_targets(target, location)
            return self._add(derived_name(attribute, targets), attribute, targets, options, RecurringOptions, location)

        def declare(function: _Function) -> _Function:
            check_rule_function(function, location)
            self._add(name_of(function), attribute, function, options, RecurringOptions, location)
            return function

        return declare

    def when_due(self, attribute: str, /, **options: Unpack[WhenDueOptions]) -> Callable[[_Function], _Function]:
        """A rule whose function itself runs when the moment comes: plain or async, called with the item as it
        then is and a `Due`. An exception, or taking longer than `timeout`, is a failed attempt, which is retried.

        Args:
            attribute: the timestamp attribute.
            options: see `WhenDueOptions`. The name is the function's, if none is given.

        Raises:
            RuleError: the rule cannot be used as written.
        """
        location = place_of_declaration()
        check_attribute(attribute, location)

        def declare(function: _Function) -> _Function:
            is_async = check_when_due_function(function, location)
            action = WhenDue(function, options.get("timeout", DEFAULT_TIMEOUT), is_async)
            self._add(name_of(function), attribute, action, options, WhenDueOptions, location)
            return function

        return declare

    def recurring_when_due(
        self, attribute: str, /, **options: Unpack[RecurringWhenDueOptions]
    ) -> Callable[[_Function], _Function]:
        """A rule whose function itself runs each time that an expression in the item says: `recurring` and `when_due`
        in one. It is called with the item as it then is and a `Due`.

        Args:
            attribute: the attribute with the expression, ``cron(...)`` or ``rate(...)``.
            options: see `RecurringWhenDueOptions`. The name is the function's, if none is given.

        Raises:
            RuleError: the rule cannot be used as written.
        """
        location = place_of_declaration()
        check_attribute(attribute, location)

        def declare(function: _Function) -> _Function:
            is_async = check_when_due_function(function, location)
            action = WhenDue(function, options.get("timeout", DEFAULT_TIMEOUT), is_async)
            self._add(name_of(function), attribute, action, options, RecurringWhenDueOptions, location)
            return function

        return declare

    def _add(
        self,
        default_name: str,
        attribute: str,
        action: tuple[Target, ...] | TargetFunction | WhenDue,
        options: RuleOptions | RecurringOptions,
        allowed: type[RuleOptions] | type[RecurringOptions],
        location: str,
    ) -> Rule:
        name = options.get("name", default_name)
        check_rule_name(name, location)
        if name in self._rules:
            raise RuleError(
                f"table {self.name!r} has a rule of this name already, from {self._rules[name].location}",
                remedy="Give one of them another name with name='...'.",
                rule=name,
                location=location,
            )
        arguments = checked_options(options, allowed, name, location)
        if allowed in (RecurringOptions, RecurringWhenDueOptions):
            parts = {part: arguments.pop(part) for part in ("start", "end", "catch_up") if part in arguments}
            arguments["repeats"] = Repeats(**parts)
        rule = Rule(
            name=name,
            app_name=self._app.name,
            table=self.declaration,
            attribute=attribute,
            action=action,
            location=location,
            **arguments,
        )
        check_sweep(rule, options, self._rules.values())
        self._rules[name] = rule
        return rule
