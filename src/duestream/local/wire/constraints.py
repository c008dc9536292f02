"""What a service model demands of parameters beyond their types: presence, length, range, pattern, enum.

Compiled once per operation. AWS gathers what is wrong into one text: ``2 validation errors detected: Value null at
'tableName' failed to satisfy constraint: Member must not be null; ...``. Attribute values are left to
`core.attributes`. The services differ in the name of the error (`_ERRORS`), and SQS in all of it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from duestream.errors import ServiceError, ValidationException
from duestream.local.wire.item_complaints import MEMBER_ORDER, complaint
from duestream.local.wire.refusals import BadRequestException, MissingParameter, ValidationError
from duestream.local.wire.shapes import is_opaque

#: Adds what is wrong with a value at a path.
Check = Callable[[Any, str, list[str]], None]

#: AWS repeats the value in full; an answer of megabytes serves nobody.
MAX_SHOWN_CHARACTERS = 4096

_ERRORS: dict[str, type[ServiceError]] = {
    "sesv2": BadRequestException,
    "ses": ValidationError,
    "sts": ValidationError,
}

#: By structure, the members whose complaints come first, in this order. Source of CreateTable's: dynalite's
#: ``validations/createTable.js``, and for the indexes paritysuite/dynamodb-conformance, ``validation-ordering/createTable``
#: (eu-west-2 and us-east-1, 2026-10-09): global ones first, whichever the request lists first.
_FIRST_MEMBERS = {
    "CreateTableInput": (
        "AttributeDefinitions",
        "TableName",
        "BillingMode",
        "ProvisionedThroughput",
        "KeySchema",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
    )
}

#: AWS prints an enum's values in the order of a Java hash set. These are the ones its authors saw (dynalite's tests).
_ENUM_ORDER = {
    frozenset(order): order
    for order in (
        ("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
        ("INDEXES", "TOTAL", "NONE"),
        ("SIZE", "NONE"),
        ("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
        ("B", "N", "S"),
        ("ALL", "INCLUDE", "KEYS_ONLY"),
        ("OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE"),  # ack-api-quirks, AWS, 2026-10
        ("OR", "AND"),
        (
            *("IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT"),
            *("NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE", "CONTAINS"),
        ),
    )
}


#: What DynamoDB's operations on tables say before all else (nubo-db/dynamodb-conformance, ``createTable.test.ts``).
_NO_TABLE_NAME = "The parameter 'TableName' is required but was not present in the request"


class Constraints:
    """The checks of one service."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._error = _ERRORS.get(service, ValidationException)
        self._checks: dict[str, Check | None] = {}
        self._open: set[str] = set()

    def checker(self, operation: Any) -> Callable[[Mapping[str, Any]], None]:
        """A function that raises the service's error if the parameters of this operation break a constraint."""
        if operation.input_shape is None:
            return lambda parameters: None
        if self._service == "sqs":
            return _sqs_checker(operation.input_shape)
        check = self._compile(operation.input_shape)
        error = self._error
        if self._service == "dynamodb" and operation.name in MEMBER_ORDER:
            return self._item_checker(operation, check)
        needs_table = self._service == "dynamodb" and "TableName" in operation.input_shape.required_members

        def run(parameters: Mapping[str, Any]) -> None:
            if needs_table and "TableName" not in parameters:
                raise error(_NO_TABLE_NAME)
            if check is None:
                return
            problems: list[str] = []
            check(parameters, "", problems)
            if problems:
                errors = "error" if len(problems) == 1 else "errors"
                raise error(f"{len(problems)} validation {errors} detected: {'; '.join(problems)}")

        return run

    def _item_checker(self, operation: Any, check: Check | None) -> Callable[[Mapping[str, Any]], None]:
        """As `checker`; where something is wrong, it is looked for again in the order in which AWS says it."""
        assert check is not None, "DynamoDB's item operations all have required members"
        shape, name = operation.input_shape, operation.name
        order = sorted(shape.members, key=lambda member: ([*MEMBER_ORDER[name], member].index(member), member))
        checks = {member: self._compile(shape.members[member]) for member in order}

        def run(parameters: Mapping[str, Any]) -> None:
            found: list[str] = []
            check(parameters, "", found)
            if not found:
                return
            problems: list[tuple[str, str]] = []
            for member in order:
                texts: list[str] = []
                if member in parameters:
                    _run(checks[member], parameters[member], _lower_first(member), texts)
                elif member in shape.required_members:
                    texts.append(_missing(_lower_first(member)))
                problems += [(member, text) for text in texts]
            raise ValidationException(complaint(name, parameters, problems))

        return run

    def _compile(self, shape: Any) -> Check | None:
        if is_opaque(shape):
            return None
        name = shape.name
        if name in self._checks:
            return self._checks[name]
        if name in self._open:
            return lambda value, path, problems: _run(self._checks[name], value, path, problems)
        self._open.add(name)
        match shape.type_name:
            case "structure":
                check = self._structure(shape)
            case "list":
                check = self._list(shape)
            case "map":
                check = self._map(shape)
            case _:
                check = self._scalar(shape)
        self._open.discard(name)
        self._checks[name] = check
        return check

    def _structure(self, shape: Any) -> Check | None:
        required = [(name, _lower_first(name)) for name in shape.required_members]
        members = {
            name: (check, _lower_first(name))
            for name, member in shape.members.items()
            if (check := self._compile(member)) is not None
        }
        if not required and not members:
            return None
        first = _FIRST_MEMBERS.get(shape.name, ())

        def run(value: Any, path: str, problems: list[str]) -> None:
            prefix = f"{path}." if path else ""
            for name, shown in required:
                if name not in value:
                    problems.append(_missing(prefix + shown))
            for name, given in _in_order(value, first):
                if (member := members.get(name)) is not None:
                    member[0](given, prefix + member[1], problems)

        return run

    def _list(self, shape: Any) -> Check | None:
        own = _length_rules(shape)
        scalar = [] if shape.member.type_name in ("structure", "list", "map") else self._rules(shape.member)
        nested = None if scalar else self._compile(shape.member)
        if not own and not scalar and nested is None:
            return None

        def run(value: Any, path: str, problems: list[str]) -> None:
            _apply(own, value, path, problems, shape)
            if nested is not None:
                for number, given in enumerate(value, start=1):
                    nested(given, f"{path}.{number}.member", problems)
            elif scalar and any(not holds(given) for given in value for _, holds in scalar):
                _together(scalar, value, path, problems, shape, "Member")

        return run

    def _map(self, shape: Any) -> Check | None:
        own, keys = _length_rules(shape), self._rules(shape.key)
        if shape.value.type_name == "list":  # lists are named by the map as a whole, their members one by one
            scalar = _length_rules(shape.value)
            nested = self._compile(shape.value)
        else:
            scalar = [] if shape.value.type_name in ("structure", "map") else self._rules(shape.value)
            nested = None if scalar else self._compile(shape.value)
        if not own and not keys and not scalar and nested is None:
            return None

        def run(value: Any, path: str, problems: list[str]) -> None:
            _apply(own, value, path, problems, shape)
            if keys and any(not holds(key) for key in value for _, holds in keys):
                _together(keys, value, path, problems, shape, "Map keys")
            if scalar and any(not holds(given) for given in value.values() for _, holds in scalar):
                _together(scalar, value, path, problems, shape, "Map value")
            elif nested is not None:
                for key, given in value.items():
                    nested(given, f"{path}.{key}.member", problems)

        return run

    def _scalar(self, shape: Any) -> Check | None:
        rules = self._rules(shape)
        if rules is _TABLE_RULES:
            return _check_table_name
        if not rules:
            return None
        return lambda value, path, problems: _apply(rules, value, path, problems, shape)

    def _rules(self, shape: Any) -> list["Rule"]:
        if shape.name == "TableArn" and self._service == "dynamodb":
            return _TABLE_RULES
        rules: list[Rule] = []
        if pattern := shape.metadata.get("pattern"):
            rules += _pattern_rules(pattern, anchored=self._service == "scheduler")
        if values := shape.metadata.get("enum"):
            allowed = frozenset(values)
            order = _ENUM_ORDER.get(allowed, tuple(values))
            rules.append((f"Member must satisfy enum value set: [{', '.join(order)}]", allowed.__contains__))
        if shape.type_name in ("integer", "long", "double", "float"):
            return rules + _range_rules(shape)
        return rules + _length_rules(shape)


#: What AWS says when it does not hold, and whether it holds.
Rule = tuple[str, Callable[[Any], bool]]


def _missing(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def _run(check: Check | None, value: Any, path: str, problems: list[str]) -> None:
    if check is not None:
        check(value, path, problems)


def _apply(rules: list[Rule], value: Any, path: str, problems: list[str], shape: Any) -> None:
    for text, holds in rules:
        if not holds(value):
            problems.append(f"{_shown(value, shape)} at '{path}' failed to satisfy constraint: {text}")


def _together(rules: list[Rule], value: Any, path: str, problems: list[str], shape: Any, what: str) -> None:
    """The members of a list, or the keys of a map, are named by all of their constraints at once."""
    texts = ", ".join(text for text, _ in reversed(rules))
    problems.append(
        f"{_shown(value, shape)} at '{path}' failed to satisfy constraint: {what} must satisfy constraint: [{texts}]"
    )


def _length_rules(shape: Any) -> list[Rule]:
    rules: list[Rule] = []
    if shape.type_name not in ("string", "blob", "list", "map"):
        return rules
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least:
        rules.append((f"Member must have length greater than or equal to {least}", lambda value: len(value) >= least))
    if most is not None:
        rules.append((f"Member must have length less than or equal to {most}", lambda value: len(value) <= most))
    return rules


def _range_rules(shape: Any) -> list[Rule]:
    rules: list[Rule] = []
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None:
        rules.append((f"Member must have value greater than or equal to {least}", lambda value: bool(value >= least)))
    if most is not None:
        rules.append((f"Member must have value less than or equal to {most}", lambda value: bool(value <= most)))
    return rules


def _pattern_rules(pattern: str, *, anchored: bool) -> list[Rule]:
    compiled = compile_java_pattern(pattern)
    if compiled is None:
        return []
    # botocore takes the anchors off Scheduler's patterns; its API reference and its errors have them.
    shown = f"^{pattern}$" if anchored and not pattern.startswith("^") else pattern
    fullmatch = compiled.fullmatch
    return [(f"Member must satisfy regular expression pattern: {shown}", lambda value: fullmatch(value) is not None)]


def compile_java_pattern(pattern: str) -> "re.Pattern[str] | None":
    r"""A pattern of a model, which is Java's, for whole values; None where Python has no equal of it.

    Java's ``\w``, ``\d`` and ``\s`` are ASCII. Characters beyond the first plane are surrogate pairs there and one
    character here. Classes by property (``\p{L}``) Python's `re` does not have: such values are not checked.
    """
    astral = "\\U00010000-\\U0010FFFF"
    translated = pattern.replace("\\uD800\\uDC00-\\uDBFF\\uDFFF", astral).replace("\\u10000-\\u10FFFF", astral)
    if "\\p{" in translated:
        return None
    try:
        return re.compile(translated, re.ASCII)
    except re.error:
        return None


def _shown(value: Any, shape: Any) -> str:
    """``Value 'x'``, or just ``Value`` where the model calls it sensitive."""
    if shape.metadata.get("sensitive"):
        return "Value"
    text = _java(value)
    if len(text) > MAX_SHOWN_CHARACTERS:
        text = text[:MAX_SHOWN_CHARACTERS] + "..." + {"[": "]", "{": "}"}.get(text[0], "")
    return f"Value '{text}'"


def _java(value: Any) -> str:
    """As Java's toString writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(given)}" for key, given in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_java(given) for given in value) + "]"
    return str(value)


def _in_order(value: Mapping[str, Any], first: Sequence[str]) -> Iterable[tuple[str, Any]]:
    if not first:
        return value.items()
    return {name: value[name] for name in (*first, *value) if name in value}.items()


def _lower_first(name: str) -> str:
    return name[0].lower() + name[1:]


_is_table_name = re.compile(r"[a-zA-Z0-9_.-]{3,255}").fullmatch
_has_name_characters = re.compile(r"[a-zA-Z0-9_.-]*").fullmatch
#: A table may be named by its name or its ARN; the model says no more than that, AWS does (recorded by
#: paritysuite/dynamodb-conformance, 2026-09-20).
_TABLE_RULES: list[Rule] = [
    (
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        lambda name: name.startswith("arn:") or _has_name_characters(name) is not None,
    ),
    (
        "Member must have length greater than or equal to 3",
        lambda name: len(name) >= 3,
    ),
    (
        "Member must have length less than or equal to 255",
        lambda name: name.startswith("arn:") or len(name) <= 255,
    ),
]


def _check_table_name(value: str, path: str, problems: list[str]) -> None:
    if _is_table_name(value) is not None:  # nearly all
        return
    if not value:
        problems.append(
            f"Value '' at '{path}' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
        return
    for text, holds in _TABLE_RULES:
        if not holds(value):
            problems.append(f"Value '{value}' at '{path}' failed to satisfy constraint: {text}")


def _sqs_checker(shape: Any) -> Callable[[Mapping[str, Any]], None]:
    """SQS names the first parameter that is missing; everything else the service itself checks in its own words."""
    required = list(shape.required_members)

    def run(parameters: Mapping[str, Any]) -> None:
        for name in required:
            if name not in parameters:
                raise MissingParameter(f"The request must contain the parameter {name}.")

    return run
