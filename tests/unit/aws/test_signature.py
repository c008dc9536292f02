"""Botocore's signer is the oracle."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from duestream.aws.signature import Signer

NOW = datetime(2030, 1, 1, 9, 5, 7, tzinfo=UTC)
JSON = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.DeleteItem"}


def as_botocore(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    credentials: Any,
    now: Any,
) -> dict[str, str]:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    SigV4Auth(credentials, "dynamodb", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize(
    ("method", "url", "headers", "body"),
    [
        ("POST", "https://dynamodb.eu-west-1.amazonaws.com/", JSON, b'{"TableName":"Offers"}'),
        ("POST", "https://dynamodb.eu-west-1.amazonaws.com", JSON, b""),
        ("POST", "https://dynamodb.eu-west-1.amazonaws.com:443/", JSON, b"{}"),
        ("POST", "http://127.0.0.1:4566/", {"X-Amz-Target": "  a   b "}, "Grüße".encode()),
        ("POST", "http://[::1]:8080/behind/a//path/", {}, b"{}"),
        ("GET", "http://localhost:80/schedules/remind.me~1_2-3", {}, b""),
        ("PUT", "https://scheduler.eu-west-1.amazonaws.com/schedules/a%20b%2Fc", {}, b"{}"),
        ("DELETE", "https://h/schedules/x?groupName=clinic&clientToken=0-1&a=%C3%BC+%2B", {}, b""),
    ],
)
@pytest.mark.parametrize("token", [None, "the-token"])
def test_a_request_is_signed_as_botocore_signs_it(
    monkeypatch: pytest.MonkeyPatch, method: str, url: str, headers: dict[str, str], body: bytes, token: str | None
) -> None:
    signer = Signer("dynamodb", "eu-west-1")
    for secret, days in (("secret", 0), ("another", 0), ("another", 1), ("another", 1)):
        credentials, now = Credentials("AKID", secret, token).get_frozen_credentials(), NOW + timedelta(days=days)
        ours = signer.signed(method, url, headers, body, credentials=credentials, now=now)
        assert ours == as_botocore(monkeypatch, method, url, headers, body, credentials, now)
