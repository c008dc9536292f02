"""What may stand in a target: addresses, texts, queues, tables, URLs, headers and AWS actions.

Each check raises `ValueError` (`TypeError` for a wrong type) that says where, what, and what to write instead.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from duestream.core.address import InvalidParameterValue, parse_address
from duestream.core.schedule import Place

#: Action prefixes that EventBridge Scheduler supports in no service (User Guide, "Using universal targets").
UNSUPPORTED_ACTION_PREFIXES = (
    "get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup", "discover",
    "validate", "batchGet", "batchDescribe", "batchRead", "transactGet", "adminGet", "adminList", "testMigration",
    "retrieve", "testConnection", "translateDocument", "isAuthorized", "invokeModel",
)  # fmt: skip

#: Headers the HTTP client or duestream itself writes.
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key"})

#: What SQS and XML have no form for; CR, LF and tab are allowed.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LINE_BREAK_OR_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:(?P<name>[^:]+)")
_QUEUE_HOST = re.compile(r"sqs\.([a-z0-9-]+)\.|([a-z0-9-]+)\.queue\.")
_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}|arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[a-zA-Z0-9_.-]{3,255}")
_VISIBLE = re.compile(r"[^\s\x00-\x20\x7f]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SERVICE = re.compile(r"[a-z0-9-]+")
_ACTION = re.compile(r"[a-z][A-Za-z0-9]+")
_UNSUPPORTED = re.compile(rf"(?:{'|'.join(UNSUPPORTED_ACTION_PREFIXES)})(?![a-z])")
#: Rules write from the same few addresses, item after item.
_parse_address = lru_cache(maxsize=1024)(parse_address)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    """A text that is wholly so; users' rules are not always type-checked."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def check_addresses(where: str, addresses: str | Sequence[str]) -> list[str]:
    """One address or several as a list. A line break in one would let its writer add headers: refused."""
    if isinstance(addresses, str):
        addresses = [addresses]
    elif not isinstance(addresses, Sequence):
        raise TypeError(f"{where} is {addresses!r}. Give it one address or a list of addresses.")
    for address in addresses:
        if not isinstance(address, str):
            raise TypeError(f"{where} has {address!r}. An address is a text such as 'a@example.com'.")
        try:
            _parse_address(address)
        except InvalidParameterValue as error:
            raise ValueError(
                f"{where} has {address!r}, which is no address: {error}. Write 'a@example.com' or "
                "'Name <a@example.com>', one address in each text."
            ) from error
    return list(addresses)


def check_text(where: str, text: str, *, one_line: bool = False) -> str:
    """The text itself, if it can be sent: no control characters, and for one line no line breaks either."""
    if not isinstance(text, str):
        raise TypeError(f"{where} is {text!r}. Give it a text.")
    forbidden = _LINE_BREAK_OR_CONTROL if one_line else _CONTROL
    if found := forbidden.search(text):
        kind = "a line break or control character" if one_line else "a control character"
        raise ValueError(f"{where} has {kind} ({found[0]!r}), which cannot be sent. Leave it out.")
    return text


@dataclass(frozen=True, slots=True)
class QueueName:
    """A queue as it was named: what was not said is the app's own place."""

    name: str
    region: str | None = None
    account_id: str | None = None
    full_arn: str | None = None

    def arn(self, place: Place) -> str:
        """The queue's ARN."""
        if self.full_arn is not None:
            return self.full_arn
        own = Place(self.region or place.region, self.account_id or place.account_id, place.partition)
        return own.arn("sqs", self.name)


def parse_queue(queue: str) -> QueueName:
    """Read a queue's name, ARN or URL (``https://sqs.REGION.amazonaws.com/ACCOUNT/NAME``)."""
    if not isinstance(queue, str):
        raise TypeError(f"QueueMessage(queue={queue!r}). Give it the queue's name, ARN or URL as a text.")
    found = None
    if queue.startswith("arn:"):
        if match := _QUEUE_ARN.fullmatch(queue):
            found = QueueName(match["name"], full_arn=queue)
    elif queue.startswith(("http://", "https://")):
        url = urlsplit(queue)
        parts = url.path.strip("/").split("/")
        host = _QUEUE_HOST.match(url.hostname or "")
        if len(parts) == 2 and re.fullmatch(r"\d{12}", parts[0]):
            found = QueueName(parts[1], host and (host[1] or host[2]), parts[0])
    else:
        found = QueueName(queue)
    if found is None or not _QUEUE_NAME.fullmatch(found.name):
        raise ValueError(
            f"QueueMessage(queue={queue!r}) names no queue. Give it a name of up to 80 letters, digits, - and _ "
            "(.fifo at the end of a FIFO queue's), an ARN or a URL."
        )
    return found


def check_table_name(where: str, table: str) -> str:
    """The table's name or ARN itself."""
    if not _matches(_TABLE_NAME, table):
        raise ValueError(
            f"{where} is {table!r}, which names no table. Give it 3 to 255 letters, digits, _ - and ., or an ARN."
        )
    return table


def check_url(url: str) -> str:
    """The URL itself, if it is one for HTTP."""
    remedy = "Write it as https://host/path, percent-encoded where it must be."
    if not _matches(_VISIBLE, url):
        raise ValueError(f"HttpRequest(url={url!r}) is no URL. {remedy}")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"HttpRequest(url={url!r}) is no http or https URL. {remedy}")
    return url


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as a dict of their own."""
    if not isinstance(headers, Mapping):
        raise TypeError(f"HttpRequest(headers=...) is {headers!r}. Give it a dict.")
    for name, value in headers.items():
        if not _matches(_HEADER_NAME, name):
            raise ValueError(f"HttpRequest(headers=...): {name!r} is no header's name.")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"HttpRequest(headers=...): {name} is written by duestream itself. Leave it out.")
        check_text(f"HttpRequest(headers=...): {name}", value, one_line=True)
        if not value.isascii() or value != value.strip():
            raise ValueError(f"HttpRequest(headers=...): {name}: {value!r} must be ASCII without space around it.")
    return dict(headers)


def check_action(service: str, action: str) -> None:
    """Refuse what EventBridge Scheduler has no universal target for."""
    if not _matches(_SERVICE, service):
        raise ValueError(f"AwsCall(service={service!r}) is no service. Write it in lower case: 'sfn', 'ecs'.")
    if not _matches(_ACTION, action):
        raise ValueError(
            f"AwsCall(action={action!r}) is no action. Write it with a lower-case first letter: 'startExecution'."
        )
    if _UNSUPPORTED.match(action):
        raise ValueError(
            f"AwsCall: {service}:{action} only reads, and EventBridge Scheduler supports no such action. "
            "Call one that changes something."
        )
