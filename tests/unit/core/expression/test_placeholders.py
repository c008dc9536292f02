"""Placeholders shared by a request's expressions. Texts: dynalite's ``test/query.js`` and ``test/updateItem.js``."""

from typing import Any

import pytest

from duestream.core.expression import Placeholders, parse_condition, parse_projection, parse_update
from duestream.core.expression.reserved import RESERVED_WORDS
from duestream.errors import ValidationException

PREFIX = "ExpressionAttributeValues contains invalid value: "


@pytest.mark.parametrize(
    ("names", "values", "problem"),
    [
        ({}, {}, "ExpressionAttributeNames must not be empty"),
        ({"a": "a"}, {}, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"#": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"'),
        ({"#a-b": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"'),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        (None, {"v": {"S": "b"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"'),
        (
            None,
            {":b": {}},
            PREFIX + "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :b",
        ),
        (None, {":b": {"N": "b"}}, PREFIX + "The parameter cannot be converted to a numeric value: b for key :b"),
        (
            None,
            {":b": {"SS": []}},
            PREFIX + "One or more parameter values were invalid: An string set  may not be empty for key :b",
        ),
    ],
)
def test_misspelt_placeholders_are_refused(names: Any, values: Any, problem: str) -> None:
    with pytest.raises(ValidationException) as refused:
        Placeholders(names, values, older=True)
    assert refused.value.message == problem


def test_the_newer_checks_say_what_is_wrong_with_a_value_and_no_more() -> None:
    """paritysuite/dynamodb-conformance, ``valueLayers``, 2026-10-09."""
    with pytest.raises(ValidationException) as refused:
        Placeholders(None, {":b": {"N": "b"}})
    assert refused.value.message == "The parameter cannot be converted to a numeric value: b"


@pytest.mark.parametrize(
    ("parameters", "expressions", "problem"),
    [
        (
            {"ExpressionAttributeNames": {}},
            ("ProjectionExpression",),
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ExpressionAttributeValues": {}},
            ("ConditionExpression",),
            "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        ),
        (
            {"ExpressionAttributeValues": {}, "ProjectionExpression": "a"},
            ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
            (
                "ExpressionAttributeValues can only be specified when using expressions: "
                "FilterExpression and KeyConditionExpression are null"
            ),
        ),
    ],
)
def test_placeholders_need_an_expression(
    parameters: dict[str, Any], expressions: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(ValidationException) as refused:
        Placeholders.of_request(parameters, *expressions, says_which=True)
    assert refused.value.message == problem
    with pytest.raises(ValidationException) as refused:
        Placeholders.refuse_idle(parameters, *expressions)
    assert refused.value.message == problem.partition(": ")[0]


def test_a_request_without_placeholders_needs_none() -> None:
    Placeholders.of_request({"TableName": "T"}, "ConditionExpression").check_all_used()


def test_what_all_expressions_together_use_is_used() -> None:
    placeholders = Placeholders({"#s": "status", "#p": "PK"}, {":v": {"S": "x"}, ":w": {"N": "1"}})
    parse_condition("#s = :v", placeholders)
    with pytest.raises(ValidationException) as refused:
        placeholders.check_all_used()
    assert refused.value.message == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#p}"
    parse_projection("#p", placeholders)
    with pytest.raises(ValidationException) as refused:
        placeholders.check_all_used()
    assert refused.value.message == "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"
    parse_update("ADD n :w", placeholders)
    placeholders.check_all_used()


def test_unused_placeholders_are_listed() -> None:
    with pytest.raises(ValidationException, match=r"keys: \{:b, :a\}$"):
        Placeholders(None, {":b": {"S": ""}, ":a": {"S": ""}}).check_all_used()


def test_there_are_573_reserved_words() -> None:
    """Developer Guide, "Reserved words in DynamoDB"."""
    assert len(RESERVED_WORDS) == 573
    assert {"STATUS", "NAME", "TTL", "TIMESTAMP", "DATE", "ZONE", "ABORT", "INNTER", "FLATTERN"} <= RESERVED_WORDS
    assert not {"PK", "SK", "ID", "EMAIL", "TITLE", "STARTS_AT"} & RESERVED_WORDS


@pytest.mark.parametrize("name", ["status", "Name", "TTL", "timeStamp"])
def test_reserved_words_are_refused_in_any_case(name: str) -> None:
    with pytest.raises(ValidationException) as refused:
        parse_update(f"SET a.{name} = :v", Placeholders(None, {":v": {"S": "x"}}))
    assert (
        refused.value.message
        == f"Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: {name}"
    )
