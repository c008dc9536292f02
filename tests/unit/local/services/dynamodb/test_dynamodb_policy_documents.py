"""Policies that were not recorded from AWS: what of them is refused, and that nothing breaks the check."""

from typing import Any

import msgspec
import pytest

from duestream.errors import ValidationException
from duestream.local.services.dynamodb.policy_documents import canonical

STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": "111122223333"},
    "Action": "dynamodb:GetItem",
    "Resource": "*",
}


def kept(document: str, *, of_table: bool = True, partition: str = "aws") -> Any:
    return msgspec.json.decode(canonical(document, of_table=of_table, partition=partition))


def policy(**members: Any) -> str:
    return msgspec.json.encode({"Statement": STATEMENT | members}).decode()


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        '"text"',
        "[" * 15000,
        '{"Statement":' * 1500,
        '{"Statement": "text"}',
        "{}",
        policy(Effect="Maybe"),
        policy(Effect={"a": 1}),
        policy(Action=[]),
        policy(Action=7),
        policy(Resource=[["*"]]),
        policy(Principal="111122223333"),
        policy(Principal={}),
        policy(Principal={"AWS": []}),
        policy(Principal={"AWS": 111122223333}),
        policy(Condition=[]),
        policy(Condition={"StringEquals": "a"}),
        policy(Reason="none"),
    ],
)
def test_what_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(ValidationException):
        kept(document)


def test_accounts_are_of_the_partition() -> None:
    assert kept(policy(), partition="aws-cn")["Statement"][0]["Principal"] == {
        "AWS": "arn:aws-cn:iam::111122223333:root"
    }


def test_everyone_may_be_allowed_something_under_a_condition() -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert kept(policy(Principal="*", Condition=condition))["Statement"][0]["Condition"] == condition
    with pytest.raises(ValidationException, match="unbounded"):
        kept(policy(Principal={"AWS": ["111122223333", "*"]}, Condition={}))


def test_only_a_streams_policy_names_the_actions_of_streams() -> None:
    assert kept(policy(Action="dynamodb:GetRecords"), of_table=False)["Statement"][0]["Action"] == "dynamodb:GetRecords"
    with pytest.raises(ValidationException, match="dynamodb:getrecords"):
        kept(policy(Action="dynamodb:getrecords"))


def test_texts_that_are_not_ascii_count_in_bytes_and_stay() -> None:
    assert kept(policy(Sid="größe"))["Statement"][0]["Sid"] == "größe"
    with pytest.raises(ValidationException, match="Maximum policy size"):
        kept(policy(Sid="ö" * 10240))
