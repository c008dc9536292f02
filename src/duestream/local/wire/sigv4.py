"""Verifying AWS Signature Version 4, in the Authorization header or in the query string.

botocore canonicalizes and signs; this compares. Texts are DynamoDB's (measured by the authors of dynalite). Neither
secrets nor signatures are ever put into a message or a log.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from duestream.local.wire.http import HttpRequest
from duestream.local.wire.refusals import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)
#: A presigned request is good for a week at the most.
MAX_EXPIRES_SECONDS = 7 * 24 * 3600
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_PART = re.compile(r"([A-Za-z-]+)=([^,\s]*)")


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says about its own signature."""

    access_key_id: str
    scope: tuple[str, str, str, str]
    signed_headers: tuple[str, ...]
    signature: str
    #: As sent: yyyymmddThhmmssZ.
    date: str
    expires: timedelta | None


class _Signer(SigV4Auth):  # type: ignore[misc]  # botocore is untyped
    """botocore's signer, made to sign exactly the headers that the client says it has signed."""

    def headers_to_sign(self, request: Any) -> HTTPMessage:
        return request.context["signed_headers"]  # type: ignore[no-any-return]

    def payload(self, request: Any) -> str:
        return request.context["body_sha256"]  # type: ignore[no-any-return]


class _S3Signer(_Signer):
    """S3 signs a path as it is sent, all others encode it once more."""

    def _normalize_url_path(self, path: str) -> str:
        return path


def verify(request: HttpRequest, *, signing_name: str | None, credentials: Mapping[str, str], now: datetime) -> None:
    """Check the request's signature against the secrets of the access keys.

    Args:
        request: as received, with its Host header.
        signing_name: the service that its credential scope must name; None: any.
        credentials: access key id to secret access key.
        now: the present moment; signatures are good for 15 minutes around it.

    Raises:
        MissingAuthenticationTokenException: it has no signature.
        IncompleteSignatureException: a part of it is missing or unreadable.
        InvalidSignatureException: it is too old, too new, for another service, or wrong.
        UnrecognizedClientException: its access key is not among the credentials.
    """
    claim = _claim_of(request)
    _check_time(claim, now)
    if "host" not in claim.signed_headers:
        raise InvalidSignatureException("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    _check_scope(claim, signing_name)
    secret = credentials.get(claim.access_key_id)
    if secret is None:
        raise UnrecognizedClientException("The security token included in the request is invalid.")
    if not hmac.compare_digest(_signature(request, claim, secret).encode(), claim.signature.encode()):
        raise InvalidSignatureException(_MISMATCH)


def _claim_of(request: HttpRequest) -> _Claim:
    authorization = request.headers.get("authorization")
    query = dict(parse_qsl(request.query, keep_blank_values=True)) if "X-Amz-Algorithm=" in request.query else {}
    if authorization is not None and query:
        raise InvalidSignatureException(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if query:
        return _presigned_claim(query)
    if authorization is None or not authorization.startswith("AWS4-"):
        raise MissingAuthenticationTokenException("Request is missing Authentication Token")
    return _header_claim(request, authorization)


def _header_claim(request: HttpRequest, authorization: str) -> _Claim:
    algorithm, _, rest = authorization.partition(" ")
    parts = dict(_PART.findall(rest))
    date = request.headers.get("x-amz-date", "")
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    if not date:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise IncompleteSignatureException(" ".join(missing))
    return _claim(algorithm, parts["Credential"], parts["SignedHeaders"], parts["Signature"], date, None)


def _presigned_claim(query: Mapping[str, str]) -> _Claim:
    missing = [
        f"AWS query-string parameters must include '{name}'."
        for name in ("X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires")
        if not query.get(name)
    ]
    if missing:
        raise IncompleteSignatureException(" ".join(missing))
    if not query["X-Amz-Expires"].isdecimal() or int(query["X-Amz-Expires"]) > MAX_EXPIRES_SECONDS:
        raise IncompleteSignatureException(f"X-Amz-Expires must be between 0 and {MAX_EXPIRES_SECONDS} seconds.")
    expires = timedelta(seconds=int(query["X-Amz-Expires"]))
    return _claim(
        query["X-Amz-Algorithm"],
        query["X-Amz-Credential"],
        query["X-Amz-SignedHeaders"],
        query["X-Amz-Signature"],
        query["X-Amz-Date"],
        expires,
    )


def _claim(
    algorithm: str, credential: str, signed_headers: str, signature: str, date: str, expires: timedelta | None
) -> _Claim:
    if algorithm != ALGORITHM:
        raise IncompleteSignatureException(f"Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). ")
    elements = credential.rstrip("/").split("/")
    if len(elements) != 5:
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'"
        )
    access_key_id, scope_date, region, service, term = elements
    headers = tuple(signed_headers.lower().split(";"))
    return _Claim(access_key_id, (scope_date, region, service, term), headers, signature, date, expires)


def _check_time(claim: _Claim, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(claim.date, _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        raise IncompleteSignatureException(
            f"Date must be in ISO-8601 'basic format'. Got '{claim.date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    good_for = MAX_SKEW if claim.expires is None else claim.expires
    if signed_at < now - good_for:
        earliest, minutes = now - good_for, good_for // timedelta(minutes=1)
        raise InvalidSignatureException(
            f"Signature expired: {claim.date} is now earlier than {earliest.strftime(_TIMESTAMP)} "
            f"({now.strftime(_TIMESTAMP)} - {minutes} min.)"
        )
    if signed_at > now + MAX_SKEW:
        latest = now + MAX_SKEW
        raise InvalidSignatureException(
            f"Signature not yet current: {claim.date} is still later than {latest.strftime(_TIMESTAMP)} "
            f"({now.strftime(_TIMESTAMP)} + 15 min.)"
        )


def _check_scope(claim: _Claim, signing_name: str | None) -> None:
    scope_date, _, service, term = claim.scope
    problems = []
    if signing_name is not None and service != signing_name:
        problems.append(f"Credential should be scoped to correct service: '{signing_name}'. ")
    if term != "aws4_request":
        problems.append(f"Credential should be scoped with a valid terminator: 'aws4_request', not '{term}'. ")
    if scope_date != claim.date[:8]:
        problems.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope_date}' != '{claim.date[:8]}', from '{claim.date}'. "
        )
    if problems:
        raise InvalidSignatureException("".join(problems))


def _signature(request: HttpRequest, claim: _Claim, secret: str) -> str:
    """The signature that this request should have."""
    _, region, service, _ = claim.scope
    body_sha256 = sha256(request.body).hexdigest()
    # Were the header taken at its word (as botocore does), a body could be exchanged under a good signature.
    if request.headers.get("x-amz-content-sha256", body_sha256) != body_sha256:
        raise InvalidSignatureException(_MISMATCH)
    signed_headers = HTTPMessage()
    for name in claim.signed_headers:
        if name not in request.headers:
            raise InvalidSignatureException(_MISMATCH)
        signed_headers[name] = request.headers[name]
    query = "&".join(part for part in request.query.split("&") if not part.startswith("X-Amz-Signature="))
    url = f"http://{request.headers['host']}{request.path}" + (f"?{query}" if query else "")
    unsigned = AWSRequest(request.method, url)
    unsigned.context.update(timestamp=claim.date, signed_headers=signed_headers, body_sha256=body_sha256)
    if service == "s3" and claim.expires is not None:
        unsigned.context["body_sha256"] = "UNSIGNED-PAYLOAD"  # who presigns for S3 does not know the body yet
    signer = (_S3Signer if service == "s3" else _Signer)(Credentials(claim.access_key_id, secret), service, region)
    text = signer.string_to_sign(unsigned, signer.canonical_request(unsigned))
    return str(signer.signature(text, unsigned))
