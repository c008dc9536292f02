"""botocore signs, we verify."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from duestream.local.wire import sigv4
from duestream.local.wire.http import HttpRequest
from duestream.local.wire.refusals import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2030, 1, 1, 9, 30, 15, tzinfo=UTC)
ENDPOINT = "http://127.0.0.1:8787"


@pytest.fixture(autouse=True)
def signed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))


def signed(
    method: str = "POST",
    path: str = "/",
    body: bytes = b'{"TableName":"Offers"}',
    headers: Mapping[str, str] | None = None,
    signer: type[Any] = SigV4Auth,
) -> HttpRequest:
    request = AWSRequest(method, ENDPOINT + path, dict(headers or {}), body)
    signer(Credentials(KEY, SECRET), "dynamodb", "eu-west-1").add_auth(request)
    prepared = request.prepare()
    sent_path, _, query = prepared.url.removeprefix(ENDPOINT).partition("?")
    sent = {
        name.lower(): value if isinstance(value, str) else value.decode() for name, value in prepared.headers.items()
    }
    return HttpRequest(method, sent_path, query, {"host": "127.0.0.1:8787", **sent}, body)


def verify(request: HttpRequest, now: datetime = NOW, signing_name: str | None = "dynamodb") -> None:
    sigv4.verify(request, signing_name=signing_name, credentials={KEY: SECRET}, now=now)


GOOD: list[dict[str, Any]] = [
    {},
    {"headers": {"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "application/x-amz-json-1.0"}},
    {"headers": {"X-Spaces": "  several   spaces "}},
    {"method": "GET", "path": "/schedules/a%20b?NamePrefix=x%2Fy&MaxResults=3&NamePrefix=a", "body": b""},
    {
        "method": "DELETE",
        "path": "/tags/arn%3Aaws%3Ascheduler%3Aeu-west-1%3A000000000000%3Aschedule-group%2Fx",
        "body": b"",
    },
    {"body": "é𝄞".encode()},
    {
        "method": "GET",
        "path": "/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": b"",
        "signer": SigV4QueryAuth,
    },
]


@pytest.mark.parametrize("how", GOOD)
def test_a_signature_of_botocores_is_good(how: dict[str, Any]) -> None:
    verify(signed(**how))


@pytest.mark.parametrize("how", GOOD)
def test_whatever_is_changed_afterwards_is_noticed(how: dict[str, Any]) -> None:
    request = signed(**how)
    changed = [
        replace(request, body=request.body + b" "),
        replace(request, method="PUT"),
        replace(request, path=request.path + "x"),
        replace(request, query=request.query + "&a=b"),
        replace(request, headers={**request.headers, "host": "localhost:8787"}),
    ]
    if "x-amz-target" in request.headers:
        changed.append(replace(request, headers={**request.headers, "x-amz-target": "DynamoDB_20120810.DeleteTable"}))
    for other in changed:
        with pytest.raises(InvalidSignatureException, match="does not match the signature you provided"):
            verify(other)


def test_a_header_that_claims_another_body_is_not_believed() -> None:
    """botocore signs what x-amz-content-sha256 says; so the body must be what it says."""
    import hashlib

    digest = hashlib.sha256(b"good").hexdigest()
    request = signed(body=b"good", headers={"X-Amz-Content-SHA256": digest})
    verify(request)
    with pytest.raises(InvalidSignatureException):
        verify(replace(request, body=b"evil"))
    with pytest.raises(InvalidSignatureException):
        verify(signed(body=b"good", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}))


def test_a_request_without_a_signature_is_refused() -> None:
    with pytest.raises(MissingAuthenticationTokenException, match="Request is missing Authentication Token"):
        verify(replace(signed(), headers={"host": "127.0.0.1:8787"}))
    with pytest.raises(MissingAuthenticationTokenException):
        verify(replace(signed(), headers={"host": "127.0.0.1:8787", "authorization": "Basic YTpi"}))


def test_a_key_that_is_not_ours_is_refused() -> None:
    with pytest.raises(UnrecognizedClientException, match="The security token included in the request is invalid"):
        sigv4.verify(signed(), signing_name="dynamodb", credentials={"OTHER": SECRET}, now=NOW)


def test_another_secret_is_refused() -> None:
    with pytest.raises(InvalidSignatureException):
        sigv4.verify(signed(), signing_name="dynamodb", credentials={KEY: "another"}, now=NOW)


@pytest.mark.parametrize("minutes", [-15, 15])
def test_a_quarter_of_an_hour_either_way_is_good(minutes: int) -> None:
    verify(signed(), now=NOW + timedelta(minutes=minutes))


def test_older_signatures_have_expired() -> None:
    with pytest.raises(InvalidSignatureException) as caught:
        verify(signed(), now=NOW + timedelta(minutes=15, seconds=1))
    assert caught.value.message == (
        "Signature expired: 20300101T093015Z is now earlier than 20300101T093016Z (20300101T094516Z - 15 min.)"
    )


def test_signatures_of_the_future_are_refused() -> None:
    with pytest.raises(InvalidSignatureException, match="Signature not yet current"):
        verify(signed(), now=NOW - timedelta(minutes=15, seconds=1))


def test_a_presigned_request_is_good_for_as_long_as_it_says() -> None:
    class ForAMinute(SigV4QueryAuth):  # type: ignore[misc]  # botocore is untyped
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, expires=60)

    request = signed(method="GET", body=b"", signer=ForAMinute)
    verify(request, now=NOW + timedelta(seconds=60))
    with pytest.raises(InvalidSignatureException, match="Signature expired"):
        verify(request, now=NOW + timedelta(seconds=61))


def test_a_signature_for_another_service_is_refused() -> None:
    with pytest.raises(InvalidSignatureException, match="scoped to correct service: 'sqs'"):
        verify(signed(), signing_name="sqs")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 ", "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'"),
        ("Credential=", "Credentials=", "requires 'Credential' parameter"),
        ("SignedHeaders=", "Headers=", "requires 'SignedHeaders' parameter"),
        ("Signature=", "Seal=", "requires 'Signature' parameter"),
        ("/eu-west-1/", "/", "exactly 5 slash-delimited elements"),
    ],
)
def test_an_incomplete_signature_is_refused(old: str, new: str, problem: str) -> None:
    request = signed()
    headers = {**request.headers, "authorization": request.headers["authorization"].replace(old, new)}
    with pytest.raises(IncompleteSignatureException, match=problem) as caught:
        verify(replace(request, headers=headers))
    assert "Signature=" not in caught.value.message


def test_a_date_that_is_none_is_refused() -> None:
    request = signed()
    for date, problem in (("", "requires existence of either"), ("yesterday", "Date must be in ISO-8601")):
        with pytest.raises(IncompleteSignatureException, match=problem):
            verify(replace(request, headers={**request.headers, "x-amz-date": date}))


def test_host_must_be_signed() -> None:
    request = signed()
    unsigned = request.headers["authorization"].replace("SignedHeaders=host;", "SignedHeaders=")
    with pytest.raises(InvalidSignatureException, match="'Host' must be a 'SignedHeader'"):
        verify(replace(request, headers={**request.headers, "authorization": unsigned}))


def test_two_signatures_are_one_too_many() -> None:
    with pytest.raises(InvalidSignatureException, match="Found both"):
        verify(replace(signed(), query="X-Amz-Algorithm=AWS4-HMAC-SHA256"))
