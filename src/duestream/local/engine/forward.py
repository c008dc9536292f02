"""Calls that are not carried out in here: they go out to the endpoint that the user named, or to moto."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from duestream.core.forwarding import MOTO, REMEDY
from duestream.errors import DeliveryError
from duestream.local.engine.call import Attempt, Call
from duestream.local.engine.endpoints import Endpoints
from duestream.local.store.writer import Transaction
from duestream.local.wire.aws_calls import Operation, operation_of, to_request

if TYPE_CHECKING:
    from duestream.local.engine.aws_out import AwsSender

MAX_THREADS = 64
#: Of one service, so that one that hangs leaves room for others.
MAX_AT_A_TIME = 16


class ForwardedCalls:
    """Every call that is not carried out inside and has no other way out (`delivery.OutsideTarget`)."""

    limit = MAX_AT_A_TIME

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="duestream-forward")
        self._sender: AwsSender | None = None

    def prepare(self, _tx: Transaction, call: Call) -> Operation:
        """Find the operation.

        Raises:
            ValidationException: AWS has none such.
        """
        return operation_of(call.service, call.action)

    async def send(self, call: Call, attempt: Attempt, prepared: Operation) -> None:
        """Make the call once.

        Raises:
            DeliveryError: it was not taken.
        """
        url, key = await self._endpoint(prepared.service)
        sender = self._sender or await self._make_sender()
        request = to_request(prepared, call.parameters, token=attempt.delivery_id)
        if prepared.name == "StartExecution":  # named by us, a repeated attempt starts nothing anew
            request.setdefault("name", attempt.delivery_id)
        send = partial(sender.send, prepared, request, region=call.region or attempt.region, url=url, key=key)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, send)
        except DeliveryError as error:
            # An execution that we have named is there: an earlier attempt got through, and its answer got lost.
            if error.code != "ExecutionAlreadyExists" or request.get("name") != attempt.delivery_id:
                raise

    def close(self) -> None:
        """Take no more work. Calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _endpoint(self, service: str) -> tuple[str | None, tuple[str, str] | None]:
        """URL and key for a call; None for AWS's own, and the environment's."""
        endpoints = self._endpoints
        any_key = ("duestream", "duestream")
        if endpoints.is_served_here(service):
            own = endpoints.own
            if own is None:
                raise DeliveryError("NotReady", "the server's own port is not open", retryable=True)
            return own.url, own.key or any_key
        target = endpoints.target_of(service)
        if target is None:
            raise DeliveryError("NotForwarded", f"{service} is not served here. {REMEDY}", retryable=True)
        return await endpoints.url_of(service), any_key if target == MOTO else None

    async def _make_sender(self) -> "AwsSender":
        """At the first call: botocore's clients take their time to load."""
        aws_out = await asyncio.to_thread(import_module, "duestream.local.engine.aws_out")
        if self._sender is None:
            self._sender = aws_out.AwsSender()
        return self._sender
