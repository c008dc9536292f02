"""The local server: one endpoint for all services. Guards the door, finds the operation, and answers.

Nothing here knows what a service does, and nothing below knows how errors look on the wire.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from duestream.clock import Clock, SystemClock
from duestream.core.app import App
from duestream.core.forwarding import Forwarding
from duestream.core.schedule import Place
from duestream.errors import Error, InternalServerError, ServiceError, SettingsError
from duestream.local import admin, pages, prometheus
from duestream.local.engine.endpoints import Endpoints, OwnServer
from duestream.local.engine.engine import Engine
from duestream.local.engine.smtp import SmtpRelay, SmtpSettings
from duestream.local.guard import Guard, is_loopback
from duestream.local.listener import MAX_BODY_BYTES, Listener
from duestream.local.operations import LONG_POLLS, SERVICES
from duestream.local.proxy import Proxy
from duestream.local.request_counts import UNKNOWN, RequestCounts
from duestream.local.services import dynamodb, scheduler, sqs
from duestream.local.services.context import Operation, RequestContext
from duestream.local.store.store import Store
from duestream.local.wire import route, sigv4
from duestream.local.wire.aws_json import AwsJson
from duestream.local.wire.called import called_operation
from duestream.local.wire.codec import Codec
from duestream.local.wire.http import HttpRequest, HttpResponse, unpacked
from duestream.local.wire.query import Query
from duestream.local.wire.refusals import (
    InternalFailure,
    InternalServerException,
    SerializationException,
    unknown_operation,
    unknown_service,
)
from duestream.local.wire.rest_json import RestJson
from duestream.local.wire.route import Destination
from duestream.local.wire.rpc_v2_cbor import RpcV2Cbor

logger = logging.getLogger(__name__)

DEFAULT_PORT = 8787
#: Requests that are being answered when the server stops have so long to end.
GRACE_SECONDS = 10.0

_INTERNAL_ERRORS: dict[str, type[ServiceError]] = {
    "dynamodb": InternalServerError,
    "dynamodbstreams": InternalServerError,
    "scheduler": InternalServerException,
}
_CODECS: dict[str, Callable[[str], Codec]] = {
    route.JSON: AwsJson,
    route.REST_JSON: RestJson,
    route.QUERY: Query,
    route.CBOR: RpcV2Cbor,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server is started with.

    Args:
        data: the data folder, made if it is missing.
        host: address to bind; anything but loopback needs `credentials`.
        port: 0 takes a free one.
        clock: a ManualClock is moved through ``POST /_duestream/clock``.
        credentials: access key id to secret access key. If there are any, every request must be signed by one.
        allowed_hosts: further names of ours: ``name``, ``name:port`` or ``*.name``.
        region: where the app's tables, queues and schedules are said to be.
        smtp: where emails go; None: they stay in the mailbox.
        forwarding: where calls of services go that are not served here.

    Raises:
        SettingsError: they contradict each other.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    clock: Clock = field(default_factory=SystemClock)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    region: str = "us-east-1"
    smtp: SmtpSettings | None = None
    forwarding: Forwarding = field(default_factory=Forwarding)

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.credentials:
            raise SettingsError(
                f"binding {self.host} would let anybody who reaches this machine use the server. "
                "Give credentials, with which every request must be signed, or bind 127.0.0.1."
            )
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"{self.port} is not a port: 0 to 65535, 0 for a free one")


class LocalServer:
    """A data folder behind an open port. `start` and `stop` belong to one event loop.

    Args:
        settings: checked already.
        app: whose rules are planned and delivered; None: only what is made through the API.
    """

    def __init__(self, settings: Settings, app: App | None = None) -> None:
        self.settings = settings
        self.app = app
        #: What was made for the app at the start, a sentence each.
        self.notes: list[str] = []
        self._engine: Engine | None = None
        self._proxy: Proxy | None = None
        self.port = settings.port
        #: Pages beside the services: (method, path) to page. Fill it before `start`.
        self.pages: dict[tuple[str, str], pages.Page] = {**pages.PAGES, **admin.pages_of(lambda: self.engine)}
        self._store: Store | None = None
        self._listener = Listener(self.answer, settings.clock)
        self._guard: Guard | None = None
        self._requests = RequestCounts()
        self.pages["GET", prometheus.PATH] = pages.Page(self._metrics, is_open=True)
        self._request_ids = (f"{secrets.token_hex(4)}-{secrets.token_hex(2)}", itertools.count(1))

    @property
    def store(self) -> Store:
        """The open store; only between start and stop."""
        assert self._store is not None, "the server is not started"
        return self._store

    @property
    def engine(self) -> Engine:
        """What plans and delivers; only between start and stop."""
        assert self._engine is not None, "the server is not started"
        return self._engine

    @property
    def endpoint_url(self) -> str:
        """What clients take as their endpoint."""
        host = self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Open the store, make what the app declares, open the port, and begin to deliver.

        Raises:
            DataFolderError: the data folder cannot be used.
            RuleError: a declared table is there with another key.
            SettingsError: the port is taken, or the host is none of this machine's.
        """
        settings = self.settings
        endpoints = Endpoints(settings.forwarding, SERVICES)
        self._store = Store.open(settings.data)
        try:
            relay = None if settings.smtp is None else SmtpRelay(settings.smtp)
            self._engine = Engine(
                self._store,
                settings.clock,
                _place(settings.region),
                app=self.app,
                smtp=relay,
                endpoints=endpoints,
            )
            self.notes = await self._engine.prepare()
            self.port = await self._listener.bind(settings.host, settings.port)
        except Error:
            await self._close_store()
            raise
        except OSError as error:
            await self._close_store()
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
                "Name another port with --port, or 0 for a free one."
            ) from error
        endpoints.own = OwnServer(self._own_url(), next(iter(settings.credentials.items()), None))
        self._proxy = Proxy(endpoints, signs=bool(settings.credentials))
        self._guard = Guard(
            settings.host, self.port, settings.allowed_hosts, has_credentials=bool(settings.credentials)
        )
        # What the last stop cut short.
        scheduler.resume_group_deletions(self._store)
        dynamodb.resume_table_upkeep(self._store)
        sqs.mover_of(self._store, settings.clock).start()
        self._engine.lambdas.use(_reachable(settings.host, self.port), settings.credentials)
        self._engine.start()
        await self._listener.start()

    async def stop(self) -> None:
        """Answer what was asked, take no more, end the attempts under way, close the store. Safe to repeat."""
        if self._store is None:
            return
        sqs.arrivals_of(self._store, self.settings.clock).stop()
        if self._engine is not None:
            await self._engine.stop_functions()
        await self._listener.stop(GRACE_SECONDS)
        await scheduler.stop_group_deletions()
        await dynamodb.stop_table_upkeep()
        await sqs.mover_of(self._store, self.settings.clock).stop()
        await self._close_store()

    def _own_url(self) -> str:
        """As this machine reaches us: an address that stands for all of them is none to go to."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def _close_store(self) -> None:
        assert self._store is not None
        if self._proxy is not None:
            await self._proxy.close()
            self._proxy = None
        if self._engine is not None:
            await self._engine.stop()
            self._engine = None
        await self._store.close()
        self._store = None

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one request, whatever happens, and count it."""
        started = time.perf_counter()
        called = _Called()
        response = await self._answer(request, called)
        self._requests.count(called.service, called.operation, response.status, time.perf_counter() - started)
        return response

    async def _answer(self, request: HttpRequest, called: "_Called") -> HttpResponse:
        request_id = self._next_request_id()
        try:
            page = self.pages.get((request.method, request.path))
            if page is not None:
                called.service, called.operation = "page", f"{request.method} {request.path}"
                return await self._answer_page(page, request, request_id)
            destination = route.destination_of(request)
            service = destination.service
            if service is None or service not in SERVICES:
                return await self._answer_elsewhere(request, called, destination, request_id)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass
            return pages.refusal(self._service_error(error, None, request_id), request_id)
        called.service = service
        codec = codec_of(service, destination.protocol)
        try:
            return await self._answer_operation(request, called, destination.region, codec, request_id)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass
            return codec.refusal(self._service_error(error, service, request_id), request_id)

    async def _answer_page(self, page: pages.Page, request: HttpRequest, request_id: str) -> HttpResponse:
        self._check_host(request)
        if not page.is_open:
            self._check_signature(request, None)
        _, region = route.scope_of(request)
        return await page.answer(self._context(request, region, request_id), request)

    async def _answer_operation(
        self, request: HttpRequest, called: "_Called", region: str, codec: Codec, request_id: str
    ) -> HttpResponse:
        service = called.service
        self._check_host(request)
        if self.settings.credentials:
            self._check_signature(request, route.signing_name(service))
        if "content-encoding" in request.headers:
            request = _unpacked(request)
        name = codec.operation_of(request)
        operation = SERVICES[service].get(name)
        if operation is None:
            raise unknown_operation(service, name, SERVICES[service])
        called.operation = name
        parameters = codec.parameters(name, request)
        context = self._context(request, region, request_id)
        if (service, name) in LONG_POLLS:
            result = await self._poll(operation, context, parameters)
        else:
            result = await operation(context, parameters)
        return codec.answer(name, result, request_id)

    async def _poll(
        self, operation: Operation, context: RequestContext, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any] | bytes:
        """Carry out an operation that ends when its client goes away."""
        task = asyncio.current_task()
        assert task is not None
        self._listener.interruptible.add(task)
        try:
            return await operation(context, parameters)
        finally:
            self._listener.interruptible.discard(task)

    async def _answer_elsewhere(
        self, request: HttpRequest, called: "_Called", destination: Destination, request_id: str
    ) -> HttpResponse:
        """A service we do not have: the answer of the endpoint that was named for it. Where there is none it is
        refused, in the protocol that its client most likely reads."""
        assert self._proxy is not None
        self._check_host(request)
        scope_service, region = route.scope_of(request)
        error: ServiceError
        try:
            if self._proxy.takes(scope_service):
                self._check_signature(request, None)
                # In a thread: the models that it is looked up in are large.
                naming = asyncio.create_task(asyncio.to_thread(called_operation, scope_service, request))
                try:
                    return await self._proxy.answer(request, scope_service, region)
                finally:
                    called.take(await naming)
            error = unknown_service(destination.asked_for, SERVICES)
        except ServiceError as refused:
            error = refused
        if destination.protocol == route.QUERY:
            return codec_of("sts", route.QUERY).refusal(error, request_id)
        return pages.refusal(error, request_id)

    async def _metrics(self, context: RequestContext, request: HttpRequest) -> HttpResponse:
        """GET /metrics: for Prometheus. Where requests must be signed, an access key as name and password will do."""
        credentials = self.settings.credentials
        if credentials and not prometheus.has_password(request.headers.get("authorization", ""), credentials):
            try:
                self._check_signature(request, None)
            except ServiceError as error:
                refused = pages.refusal(error, context.request_id)
                asked = {**refused.headers, "WWW-Authenticate": 'Basic realm="duestream"'}
                return HttpResponse(401, refused.body, asked)
        app_name = None if self.app is None else self.app.name
        exporter = prometheus.Exporter(self.store, self.engine, self._requests, self.settings.clock, app_name)
        text, content_type = await exporter.render()
        return HttpResponse(200, text, {"Content-Type": content_type})

    def _check_host(self, request: HttpRequest) -> None:
        assert self._guard is not None
        self._guard.check(request)

    def _check_signature(self, request: HttpRequest, signing_name: str | None) -> None:
        if self.settings.credentials:
            sigv4.verify(
                request,
                signing_name=signing_name,
                credentials=self.settings.credentials,
                now=self.settings.clock.now(),
            )

    def _context(self, request: HttpRequest, region: str, request_id: str) -> RequestContext:
        return RequestContext(
            store=self.store,
            clock=self.settings.clock,
            place=_place(region),
            endpoint_url=f"http://{request.headers['host']}",
            request_id=request_id,
            relays_emails=self.settings.smtp is not None,
            forwarded=self.engine.endpoints.members_of,
            functions=self.engine.lambdas,
        )

    def _service_error(self, error: Exception, service: str | None, request_id: str) -> ServiceError:
        """The error to answer with. What we did not raise on purpose is logged and not told."""
        if isinstance(error, ServiceError):
            return error
        logger.error(
            "request failed by a fault of ours",
            extra={"action": "answer", "service": service, "request_id": request_id},
            exc_info=error,
        )
        kind = _INTERNAL_ERRORS.get(service or "", InternalFailure)
        return kind(f"The server failed to answer. Its log has the reason under request id {request_id}.")

    def _next_request_id(self) -> str:
        prefix, numbers = self._request_ids
        return f"{prefix}-4000-8000-{next(numbers):012x}"


class _Called:
    """What a request turned out to call, for its count."""

    __slots__ = ("operation", "service")

    def __init__(self) -> None:
        self.service = self.operation = UNKNOWN

    def take(self, names: tuple[str, str | None] | None) -> None:
        """Take the names of a request that is passed on, as far as AWS has them."""
        if names is not None:
            self.service, self.operation = names[0], names[1] or UNKNOWN


def _unpacked(request: HttpRequest) -> HttpRequest:
    try:
        return unpacked(request, MAX_BODY_BYTES)
    except ValueError as error:
        raise SerializationException(str(error)) from None


@lru_cache(maxsize=64)
def codec_of(service: str, protocol: str) -> Codec:
    """The codec of a service in one of its protocols."""
    return _CODECS[protocol](service)


def _reachable(host: str, port: int) -> str:
    """Where processes on this machine reach a server that listens on `host`."""
    if host in ("0.0.0.0", "", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@lru_cache(maxsize=64)
def _place(region: str) -> Place:
    return Place(region=region)
