"""AWS calls as targets ask for them, made with boto3: a service and an action of Scheduler's to a client's operation.

Messages to queues are what sweeps send by the thousand: they go through `duestream.aws.json_calls`, for less of the
processor's time, and are told from the others by nothing else.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.session import get_session
from botocore.utils import CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES
from botocore.validate import validate_parameters
from urllib3.exceptions import TimeoutError as NoAnswerInTime

from duestream.aws.failures import CallError
from duestream.aws.json_calls import JsonCalls
from duestream.aws.wire_items import from_boto3, to_boto3
from duestream.core.call_errors import MAX_TOLD_CHARACTERS, check_answer, is_permanent, refusal
from duestream.core.request_shape import shaped_request
from duestream.errors import DeliveryError

MAX_CONNECTIONS = 64
#: Of one call. Attempts that failed are made again much later; these are for a lost packet and a throttled second.
MAX_TRIES = 3
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20

#: Members of a request that may have the ARN of what it is for. (A FIFO queue's message group may be called anything.)
_names_something = re.compile(
    r"(?!MessageGroupId|MessageDeduplicationId)\w*(Arn|ARN|Name|Url|Id|Cluster|Resource)\Z"
).match

#: (service in boto3's words, region) to a client.
MakeClient = Callable[[str, str], Any]
#: A region to calls to its queues.
MakeQueueCalls = Callable[[str], JsonCalls]


def make_client(service: str, region: str) -> Any:
    """A client as the functions use them; the endpoint is AWS's own, or where ``AWS_ENDPOINT_URL`` says."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": MAX_TRIES},
        max_pool_connections=MAX_CONNECTIONS,
    )
    return boto3.client(service, region_name=region, config=config)


def make_queue_calls(region: str) -> JsonCalls:
    """Calls to SQS as the functions make them; the endpoint likewise."""
    return JsonCalls(get_session(), "sqs", region=region, connections=MAX_CONNECTIONS)


class TargetCalls:
    """Makes calls; clients are kept. Safe in threads.

    Args:
        region: where a call is made whose parameters do not say otherwise.
        queue_url_prefix: what stands before the name in URLs of queues of the app's own account and region.
        own_queues: the beginning of such queues' ARNs, up to their name.
        make: makes a client.
        make_queue_calls: makes calls to SQS.
    """

    def __init__(
        self,
        region: str,
        *,
        queue_url_prefix: str,
        own_queues: str,
        make: MakeClient = make_client,
        make_queue_calls: MakeQueueCalls = make_queue_calls,
    ) -> None:
        self._region, self._make, self._make_queue_calls = region, make, make_queue_calls
        self._queue_url_prefix, self._own_queues = queue_url_prefix, own_queues
        self._clients: dict[tuple[str, str], Any] = {}
        self._queues: dict[str, JsonCalls] = {}
        self._making = Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service, by boto3's name of it; made with the first call for it."""
        identity = (service, region or self._region)
        with self._making:  # boto3's session is not safe in threads, its clients are
            if identity not in self._clients:
                self._clients[identity] = self._make(*identity)
            return self._clients[identity]

    def make(self, service: str, action: str, parameters: Mapping[str, Any], *, token: str) -> None:
        """Make one call.

        Args:
            service: as in a universal target's ARN: ``sfn``, ``eventbridge``.
            action: likewise: ``startExecution``.
            parameters: the request; each member's name begins with an upper-case letter.
            token: for whatever makes a repeated request the same one: 32 hexadecimal digits.

        Raises:
            DeliveryError: it was not taken.
        """
        region = _region_of(parameters)
        if (service, action) == ("sqs", "sendMessage"):
            self._send_message(parameters, region or self._region, token)
            return
        try:
            client = self.client(boto3_service(service), region)
            name, shape = _operation(client, service, action)
            if service == "dynamodb":
                parameters = to_boto3(parameters)
            # What client.put_events() and all of its like do.
            answer = client._make_api_call(name, shaped_request(shape, parameters, token=token))  # noqa: SLF001
        except ClientError as error:
            raise refusal(error.response) from error
        except BotoCoreError as error:
            raise _not_sent(error) from error
        for value in answer.values():
            if hasattr(value, "close"):
                value.close()  # a body that nobody reads would keep its connection
        check_answer(answer)

    def _send_message(self, parameters: Mapping[str, Any], region: str, token: str) -> None:
        with self._making:
            if region not in self._queues:
                self._queues[region] = self._make_queue_calls(region)
            calls = self._queues[region]
        shape = calls.input_shape("SendMessage")
        request = shaped_request(shape, self._message(parameters, token), token=token)
        try:
            validate_parameters(request, shape)  # as a client does first
            calls.make("SendMessage", from_boto3(request), quota=str(request["QueueUrl"]))
        except BotoCoreError as error:
            raise _not_sent(error) from error
        except CallError as error:
            raise _refused(error) from error

    def _message(self, parameters: Mapping[str, Any], token: str) -> Mapping[str, Any]:
        """With the queue's URL, where its ARN stands for it, and a FIFO queue's protection against repetition."""
        named = str(parameters.get("QueueUrl", ""))
        request = dict(parameters)
        if named.startswith("arn:"):
            request["QueueUrl"] = self.queue_url(named)
        if named.endswith(".fifo"):
            request.setdefault("MessageDeduplicationId", token)
        return request

    def queue_url(self, arn: str) -> str:
        """The URL of the queue with that ARN."""
        _, partition, _, region, account_id, name = arn.split(":", 5)
        if arn.startswith(self._own_queues):
            return self._queue_url_prefix + name
        suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        return f"https://sqs.{region}.{suffix}/{account_id}/{name}"


def _operation(client: Any, service: str, action: str) -> tuple[str, Any]:
    """The operation's name, and botocore's shape of its input (None: it takes none)."""
    model, wanted = client.meta.service_model, action.lower()
    for name in model.operation_names:
        if name.lower() == wanted:
            return name, model.operation_model(name).input_shape
    raise DeliveryError("ValidationException", f"{service} has no action {action}", retryable=False)


@lru_cache(maxsize=256)
def boto3_service(name: str) -> str:
    """boto3's name of a service, as the AWS CLI's, by Scheduler's, which is that of the SDK for JavaScript 3.

    Raises:
        DeliveryError: boto3 has none of that name; permanent.
    """
    renamed = CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES
    available = boto3.session.Session().get_available_services()
    found = [one for one in available if re.sub("[^a-z0-9]", "", renamed.get(one, one)) == name]
    if not found and name not in available:
        raise DeliveryError("ValidationException", f"{name} is not a supported service for a target", retryable=False)
    return str(found[0]) if found else name


def _region_of(parameters: Mapping[str, Any]) -> str | None:
    """The region of the first ARN that names what is called; one that stands in a text says nothing."""
    for name, value in parameters.items():
        if isinstance(value, str) and value.startswith("arn:") and _names_something(name):
            parts = value.split(":", 4)
            if len(parts) == 5 and parts[3]:
                return parts[3]
    return None


def _refused(error: CallError) -> DeliveryError:
    code = "Timeout" if isinstance(error.__cause__, NoAnswerInTime) else error.code
    message = (error.message or "no reason given")[:MAX_TOLD_CHARACTERS]
    return DeliveryError(code, message, retryable=not is_permanent(code, error.status))


def _not_sent(error: BotoCoreError) -> DeliveryError:
    text = " ".join(str(error).split())[:MAX_TOLD_CHARACTERS]
    match error:
        case ParamValidationError():
            return DeliveryError("ValidationException", text, retryable=False)
        case ConnectTimeoutError() | ReadTimeoutError():
            return DeliveryError("Timeout", text, retryable=True)
        case NoConnectionError() | HTTPClientError():
            return DeliveryError("ConnectionError", text, retryable=True)
    return DeliveryError(type(error).__name__, text, retryable=True)
