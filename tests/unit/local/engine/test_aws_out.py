"""What goes to AWS itself is signed with the environment's credentials; nothing here goes over a network."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from duestream.errors import DeliveryError
from duestream.local.engine.aws_out import AwsSender
from duestream.local.wire import sigv4
from duestream.local.wire.aws_calls import operation_of
from duestream.local.wire.http import HttpRequest


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def _with_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize(
    ("service", "signing_name", "path", "host"),
    [
        ("sns", "sns", "/", "sns.eu-west-1.amazonaws.com"),
        ("stepfunctions", "states", "/", "states.eu-west-1.amazonaws.com"),
        ("s3", "s3", "/bucket/a%20b?list-type=2", "s3.eu-west-1.amazonaws.com"),
    ],
)
def test_a_request_for_aws_is_signed_with_the_environments_key(
    monkeypatch: pytest.MonkeyPatch, service: str, signing_name: str, path: str, host: str
) -> None:
    _with_key(monkeypatch)
    # Most likely our own: asking it would go round in circles.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8787")
    url, headers = AwsSender().signed(
        "POST", path, {"x-amz-target": "T"}, b"body", service=service, signing_name=signing_name, region="eu-west-1"
    )
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", host)
    lower = {name.lower(): value for name, value in headers.items()} | {"host": host}
    assert f"/eu-west-1/{signing_name}/aws4_request" in lower["authorization"]
    if service != "s3":  # over TLS its bodies are not signed
        signed_at = datetime.strptime(lower["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        request = HttpRequest("POST", parts.path, parts.query, lower, b"body")
        now = signed_at + timedelta(seconds=1)
        sigv4.verify(request, signing_name=signing_name, credentials={"id": "secret"}, now=now)


def test_without_credentials_it_is_said_so() -> None:
    sender = AwsSender()
    with pytest.raises(DeliveryError) as refused:
        sender.signed("POST", "/", {}, b"", service="sns", signing_name="sns", region="eu-west-1")
    assert (refused.value.code, refused.value.retryable) == ("NoCredentials", True)
    with pytest.raises(DeliveryError) as refused:
        sender.send(
            operation_of("sns", "publish"), {"TopicArn": "t", "Message": "m"}, region="eu-west-1", url=None, key=None
        )
    assert (refused.value.code, refused.value.retryable) == ("NoCredentials", True)


def test_a_proxy_of_the_environment_is_not_asked_for_what_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeliveryError) as refused:
        AwsSender().send(
            operation_of("sns", "publish"),
            {"TopicArn": "t", "Message": "m"},
            region="eu-west-1",
            url="http://127.0.0.1:9",
            key=("a", "b"),
        )
    assert refused.value.code == "ConnectionError"
    assert "127.0.0.1:9" in refused.value.message
    assert "proxy" not in refused.value.message
