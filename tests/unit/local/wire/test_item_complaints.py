"""How DynamoDB's item operations put together what is wrong with a request's shape; AWS's texts are conformance's."""

from typing import Any

import pytest
from botocore.loaders import Loader

from duestream.local.wire.item_complaints import MAX_NEWER_LEVELS, MEMBER_ORDER, complaint, is_deep


def deep(levels: int, kind: str) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"n": value}} if kind == "M" else {"L": [value]}
    return value


@pytest.mark.parametrize("operation", MEMBER_ORDER)
def test_the_order_names_members_of_the_model(operation: str) -> None:
    model = Loader().load_service_model("dynamodb", "service-2")
    shape = model["shapes"][model["operations"][operation]["input"]["shape"]]
    assert set(MEMBER_ORDER[operation]) <= shape["members"].keys()


@pytest.mark.parametrize("kind", ["M", "L"])
def test_a_request_is_deep_beyond_62_levels(kind: str) -> None:
    assert not is_deep({"TableName": "T", "Key": {"pk": deep(MAX_NEWER_LEVELS, kind)}})
    assert is_deep({"TableName": "T", "Key": {"pk": deep(MAX_NEWER_LEVELS + 1, kind)}})
    assert is_deep({"Item": {"pk": deep(5000, kind)}})


def test_one_problem_is_an_error_and_two_are_errors() -> None:
    problems = [("ReturnConsumedCapacity", "one"), ("Select", "two")]
    assert complaint("Scan", {"TableName": "Offers"}, problems[:1]) == "1 validation error detected: one"
    assert complaint("Scan", {"TableName": "Offers"}, problems) == "2 validation errors detected: one; two"


def test_a_missing_member_is_told_in_the_older_words_with_all_others() -> None:
    problems = [("TableName", "Value '' at 'tableName' ..."), ("Key", "Value null at 'key' ...")]
    text = complaint("UpdateItem", {"TableName": ""}, problems)
    assert text == "2 validation errors detected: Value '' at 'tableName' ...; Value null at 'key' ..."
