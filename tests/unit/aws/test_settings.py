"""Settings from the environment that the stack gives."""

import pytest

from duestream.aws.settings import Settings
from duestream.core.schedule import Place
from duestream.errors import SettingsError

ENVIRONMENT = {
    "DUESTREAM_APP": "appointments:app",
    "AWS_REGION": "eu-west-1",
    "DUESTREAM_ACCOUNT_ID": "123456789012",
    "DUESTREAM_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
    "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
    "DUESTREAM_DELIVERIES_TABLE": "clinic-deliveries",
    "DUESTREAM_WHEN_DUE_FUNCTION_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:clinic-when-due",
}


def test_what_is_set_is_read_and_the_rest_has_defaults() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    assert settings.place == Place("eu-west-1", "123456789012", "aws")
    assert (settings.app, settings.concurrency) == ("appointments:app", 32)


def test_partition_and_concurrency_can_be_set() -> None:
    further = {"DUESTREAM_PARTITION": "aws-cn", "DUESTREAM_CONCURRENCY": "64"}
    settings = Settings.from_environment({**ENVIRONMENT, **further})
    assert (settings.place.partition, settings.concurrency) == ("aws-cn", 64)


@pytest.mark.parametrize("name", list(ENVIRONMENT))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: not set"):
        Settings.from_environment({**ENVIRONMENT, name: ""})


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match="DUESTREAM_APP, AWS_REGION, "):
        Settings.from_environment({})


@pytest.mark.parametrize("text", ["0", "-1", "many", "513", "٣"])
def test_a_concurrency_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="from 1 to 512"):
        Settings.from_environment({**ENVIRONMENT, "DUESTREAM_CONCURRENCY": text})
