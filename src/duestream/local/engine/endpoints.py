"""Which endpoint a service is called at that is not carried out in here."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from duestream.core.deliverable import Members
from duestream.core.forwarding import AWS, MOTO, NONE, REMEDY, Forwarding
from duestream.errors import SettingsError, ValidationException
from duestream.local.engine.moto import MotoServer
from duestream.local.wire.aws_calls import botocore_service, members_of, operation_of


@dataclass(frozen=True, slots=True)
class OwnServer:
    """Our own endpoint, for operations of the services that are served here.

    Args:
        url: as this machine reaches it.
        key: an access key id and its secret, where requests must be signed by one of ours.
    """

    url: str
    key: tuple[str, str] | None = None

    @property
    def tasks_port(self) -> int | None:
        """The port at which clients that cannot sign find us on this machine by the name localhost."""
        host, _, port = self.url.rpartition("://")[2].rpartition(":")
        return int(port) if self.key is None and host in ("127.0.0.1", "localhost") else None


class Endpoints:
    """Answers where a service is; starts moto when it is asked for it.

    Args:
        forwarding: what the user said.
        served: the services that are served here, under botocore's names, with their operations.

    Raises:
        SettingsError: a service is named that nobody knows, or that is served here.
    """

    def __init__(self, forwarding: Forwarding, served: Mapping[str, Container[str]]) -> None:
        self._default, self._served = forwarding.default, served
        self._services: dict[str, str] = {}
        for name, target in forwarding.services.items():
            service = botocore_service(name)
            if service is None:
                raise SettingsError(f"--forward {name}={target}: there is no service {name!r}. Write sns, sfn, events.")
            if service in served:
                raise SettingsError(f"--forward {name}={target}: {service} is served here. Leave it out.")
            self._services[service] = target
        self._moto = MotoServer()
        #: Set once the port is known.
        self.own: OwnServer | None = None

    def target_of(self, service: str) -> str | None:
        """What was said of a service that is not served here: a URL, `AWS`, `MOTO`; None: nowhere."""
        target = self._services.get(service, self._default)
        return None if target == NONE else target

    def members_of(self, service: str, action: str) -> Members:
        """What the request of a call that goes elsewhere must and may have (`deliverable.Forwarded`).

        Raises:
            ValidationException: AWS has no such call, or nobody carries it out.
        """
        operation = operation_of(service, action)
        members = members_of(service, action)
        if operation.service in self._served:
            if operation.name not in self._served[operation.service]:
                raise ValidationException(
                    f"{operation.name} is not among the operations of {operation.service} that are served here."
                )
        elif self.target_of(operation.service) is None:
            raise ValidationException(f"Targets {service}:{action} are not delivered by this server. {REMEDY}")
        return members

    def is_served_here(self, service: str) -> bool:
        """Whether calls of this service come to our own endpoint."""
        return service in self._served

    async def url_of(self, service: str) -> str | None:
        """The service's endpoint; None: AWS's own, or nowhere (`target_of` tells).

        Raises:
            DeliveryError: moto does not start.
        """
        if service in self._served:
            return None if self.own is None else self.own.url
        target = self.target_of(service)
        if target == MOTO:
            return await self._moto.url(None if self.own is None else self.own.tasks_port)
        return None if target in (None, AWS) else target

    async def close(self) -> None:
        """End moto, if it was started."""
        await self._moto.close()
