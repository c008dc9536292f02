"""Which service a request is for, in which protocol, and in which region."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from duestream.local.wire import rpc_v2_cbor
from duestream.local.wire.http import HttpRequest
from duestream.local.wire.query import form_of
from duestream.local.wire.refusals import SerializationException

DEFAULT_REGION = "us-east-1"

JSON, REST_JSON, QUERY, CBOR = "json", "rest-json", "query", "smithy-rpc-v2-cbor"

#: X-Amz-Target's first half to service.
_TARGETS = {
    "DynamoDB_20120810": "dynamodb",
    "DynamoDBStreams_20120810": "dynamodbstreams",
    "AmazonSQS": "sqs",
    "GraniteServiceVersion20100801": "cloudwatch",
}
#: The query protocol's Version to service.
_VERSIONS = {"2011-06-15": "sts", "2012-11-05": "sqs", "2010-12-01": "ses", "2010-08-01": "cloudwatch"}
#: The beginnings of paths to service.
_PATHS = (
    ("/v2/email/", "sesv2"),
    ("/schedules", "scheduler"),
    ("/schedule-groups", "scheduler"),
    ("/tags/arn", "scheduler"),
    ("/2015-03-31/functions", "lambda"),
    ("/2015-03-31/event-source-mappings", "lambda"),
    ("/2017-03-31/tags", "lambda"),
    ("/2017-10-31/functions", "lambda"),
    ("/2019-09-25/functions", "lambda"),
)
#: The credential scope's service to service and protocol, where nothing else tells.
_SCOPES = {
    "sts": ("sts", QUERY),
    "sqs": ("sqs", QUERY),
    "ses": ("ses", QUERY),
    "email": ("ses", QUERY),
    "scheduler": ("scheduler", REST_JSON),
    "dynamodb": ("dynamodb", JSON),
    "lambda": ("lambda", REST_JSON),
    "monitoring": ("cloudwatch", QUERY),
}
#: What the credential scope names, where that is not the service's own name.
_SIGNING_NAMES = {"dynamodbstreams": "dynamodb", "sesv2": "ses", "cloudwatch": "monitoring"}

#: Services we do not have, whose clients read errors as XML though they send no form.
_XML_SERVICES = frozenset({"s3", "s3express", "s3-outposts", "route53", "cloudfront"})

_SCOPE = re.compile(r"Credential=([^/,\s]*)/([^/,\s]*)/([^/,\s]*)/([^/,\s]*)/aws4_request")
_REGION = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes. `service` is botocore's name of it; None: none that we know (`asked_for` says what)."""

    service: str | None
    protocol: str
    region: str
    asked_for: str


def signing_name(service: str) -> str:
    """The service's name in a credential scope."""
    return _SIGNING_NAMES.get(service, service)


def destination_of(request: HttpRequest) -> Destination:
    """Tell service, protocol and region from the target header, the form's version, the path and the scope."""
    scope_service, region = scope_of(request)
    target = request.headers.get("x-amz-target")
    if target is not None:
        prefix, _, _ = target.rpartition(".")
        return Destination(_TARGETS.get(prefix), JSON, region, f"X-Amz-Target {target[:200]!r}")
    if request.headers.get(rpc_v2_cbor.PROTOCOL_HEADER) == rpc_v2_cbor.PROTOCOL:
        called = rpc_v2_cbor.PATH.fullmatch(request.path)
        if called:
            return Destination(
                _TARGETS.get(called["service"]), CBOR, region, f"The service {called['service'][:200]!r}"
            )
    for beginning, service in _PATHS:
        if request.path.startswith(beginning) and scope_service in ("", signing_name(service)):
            return Destination(service, REST_JSON, region, service)
    if is_form(request):
        version = _version_of(request)
        if version in _VERSIONS:
            return Destination(_VERSIONS[version], QUERY, region, version)
    if scope_service in _SCOPES:
        known, protocol = _SCOPES[scope_service]
        return Destination(known, protocol, region, scope_service)
    asked_for = f"The service {scope_service!r}" if scope_service else f"{request.method} {request.path[:200]}"
    speaks_xml = is_form(request) or scope_service in _XML_SERVICES
    return Destination(None, QUERY if speaks_xml else REST_JSON, region, asked_for)


def scope_of(request: HttpRequest) -> tuple[str, str]:
    """Service and region of the credential scope; empty and the default region where there is none."""
    text = request.headers.get("authorization")
    if text is None and "X-Amz-Credential=" in request.query:
        credential = parse_qs(request.query).get("X-Amz-Credential", [""])[0]
        text = f"Credential={credential}"
    found = _SCOPE.search(text) if text else None
    if found is None:
        return "", DEFAULT_REGION
    region = found[3]
    return found[4], region if _REGION.fullmatch(region) else DEFAULT_REGION


def is_form(request: HttpRequest) -> bool:
    """Whether this looks like the query protocol."""
    content_type = request.headers.get("content-type", "")
    return content_type.startswith("application/x-www-form-urlencoded") or "Action=" in request.query


def _version_of(request: HttpRequest) -> str:
    try:
        return form_of(request).get("Version", "")
    except SerializationException:
        return ""
