"""The way to AWS: found as the AWS CLI finds it, and refused in plain words."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from botocore import exceptions
from tests.unit.aws.stack.scripted import refusal

from duestream.aws.stack.session import Access, AwsError, Identity, open_access, told_plainly
from duestream.errors import SettingsError

CONFIG = """\
[default]
[profile clinic]
region = eu-west-1
endpoint_url = http://127.0.0.1:4566
aws_access_key_id = key
aws_secret_access_key = secret
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with nothing of AWS's but a file with a profile."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def opened(
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Access:
    return open_access(profile=profile, region=region, endpoint_url=endpoint_url, environ=environ or {})


@pytest.mark.usefixtures("keys")
def test_the_option_wins_over_the_environment_and_that_over_the_profile() -> None:
    environ = {"AWS_REGION": "us-west-2", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert opened(profile="clinic").region == "eu-west-1"
    assert opened(profile="clinic").endpoint_url == "http://127.0.0.1:4566"
    assert opened(profile="clinic", environ=environ).region == "us-west-2"
    assert opened(profile="clinic", environ=environ).endpoint_url == "http://127.0.0.1:1"
    access = opened("clinic", "sa-east-1", "http://127.0.0.1:2", environ)
    assert (access.region, access.endpoint_url) == ("sa-east-1", "http://127.0.0.1:2")
    assert access.client("sqs").meta.endpoint_url == "http://127.0.0.1:2"


@pytest.mark.usefixtures("keys")
def test_a_services_own_endpoint_wins_unless_one_is_said_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:3")
    found = opened(region="eu-central-1", environ=os.environ)
    assert found.client("sqs").meta.endpoint_url == "http://127.0.0.1:1"
    assert found.client("s3").meta.endpoint_url == "http://127.0.0.1:3"
    said = opened(region="eu-central-1", endpoint_url="http://127.0.0.1:2", environ=os.environ)
    assert said.client("s3").meta.endpoint_url == "http://127.0.0.1:2"
    ignoring = {**os.environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert opened(region="eu-central-1", environ=ignoring).endpoint_url is None


@pytest.mark.usefixtures("keys")
def test_without_a_region_it_says_how_to_name_one() -> None:
    with pytest.raises(SettingsError, match=r"no region\. Say one with --region"):
        opened()


def test_without_credentials_it_says_how_to_come_by_some() -> None:
    with pytest.raises(SettingsError, match=r"no credentials\. Name a profile"):
        opened(region="eu-central-1")
    with pytest.raises(SettingsError, match=r"http://127.0.0.1:8787 may take any"):
        opened(region="eu-central-1", endpoint_url="http://127.0.0.1:8787")


@pytest.mark.usefixtures("keys")
def test_a_profile_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match=r"no profile 'clinics' .* Those there are: default, clinic"):
        opened(profile="clinics")


@pytest.mark.usefixtures("keys")
def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"is no URL\. Write it like http://127"):
        opened(region="eu-central-1", endpoint_url="127.0.0.1:8787")


@pytest.mark.usefixtures("keys")
def test_nobody_at_the_endpoint_is_told_with_its_address() -> None:
    with pytest.raises(AwsError, match=r"nobody answers at http://127.0.0.1:1/\. Is the server running"):
        opened(region="eu-central-1", endpoint_url="http://127.0.0.1:1").identity()


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDenied", "lacks this permission"),
        ("ExpiredToken", "have run out"),
        ("InvalidClientTokenId", "are not good here"),
        ("Throttling", "Throttling: slowly$"),
    ],
)
def test_a_refusal_is_told_with_operation_place_and_remedy(code: str, words: str) -> None:
    access = opened(region="eu-central-1")
    with pytest.raises(AwsError, match=words) as raised, told_plainly(access):
        raise refusal(code, "slowly.", "CreateChangeSet")
    assert str(raised.value).startswith(f"CreateChangeSet was refused (eu-central-1): {code}: slowly")
    assert raised.value.code == code


@pytest.mark.usefixtures("keys")
def test_an_ended_login_is_told_as_one() -> None:
    error = exceptions.SSOTokenLoadError(error_msg="Token for x does not exist")
    with pytest.raises(AwsError, match=r"Log in again: aws sso login"), told_plainly(opened(region="eu-central-1")):
        raise error


def test_the_partition_is_that_of_the_caller() -> None:
    assert Identity("1", "arn:aws-cn:iam::1:user/a").partition == "aws-cn"
    assert Identity("1", "").partition == "aws"
