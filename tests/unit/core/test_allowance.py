"""What a rule says that it uses."""

import pytest

from duestream import App, DeleteItem, RuleError
from duestream.core.allowance import Allowance, parse_allowance


@pytest.mark.parametrize(
    ("text", "allowance"),
    [
        ("sqs:reminders", Allowance("sqs", "reminders")),
        ("sqs:reminders-*", Allowance("sqs", "reminders-*")),
        ("ses:clinic@example.com", Allowance("ses", "clinic@example.com")),
        ("ses:example.com", Allowance("ses", "example.com")),
        ("lambda:resize:live", Allowance("lambda", "resize:live")),
        (
            "arn:aws:sqs:eu-west-1:123456789012:orders",
            Allowance("sqs", "arn:aws:sqs:eu-west-1:123456789012:orders"),
        ),
        (
            "s3:GetObject arn:aws:s3:::notes/*",
            Allowance("s3", "arn:aws:s3:::notes/*", "s3:GetObject"),
        ),
        ("ec2:Describe* *", Allowance("ec2", "*", "ec2:Describe*")),
    ],
)
def test_an_entry_is_read(text: str, allowance: Allowance) -> None:
    assert parse_allowance(text) == allowance


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reminders",
        "s3:notes",  # no service of targets, and no action
        "sqs:re minders",
        "s3:* arn:aws:s3:::notes/*",  # every action is no answer to what a rule uses
        "s3:GetObject notes",
        "arn:aws:ses:eu-west-1:123456789012:identity/example.com",  # an address tells more
        "arn:aws:s3:::notes",
    ],
)
def test_what_allows_nothing_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="sqs:reminders"):
        parse_allowance(text)


def test_a_rule_keeps_what_it_was_allowed() -> None:
    offers = App("shop").table("Offers", partition_key="id")
    assert offers.rule("A", DeleteItem()).allow is None
    assert offers.rule("B", DeleteItem(), allow=["sqs:reminders"]).allow == ("sqs:reminders",)
    assert offers.recurring("C", DeleteItem(), allow=[]).allow == ()


def test_a_mistake_is_told_at_the_declaration() -> None:
    offers = App("shop").table("Offers", partition_key="id")
    with pytest.raises(RuleError, match=r"rule 'a-delete-item': allow has 'reminders', which allows nothing\. Write"):
        offers.rule("A", DeleteItem(), allow=["reminders"])
    with pytest.raises(RuleError, match="allow='sqs:reminders' is no list"):
        offers.rule("A", DeleteItem(), allow="sqs:reminders")
    with pytest.raises(RuleError, match=r"allow has 7, .*Write texts"):
        offers.rule("A", DeleteItem(), allow=[7])  # type: ignore[list-item]
