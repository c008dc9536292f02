"""Where calls of services that are not served here go: what `--forward` says, read and checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from duestream.errors import SettingsError

#: AWS itself: the SDK's own endpoints and the environment's credentials.
AWS = "aws"
#: moto's server in a process beside ours, started with the first call; in memory only.
MOTO = "moto"
#: Nowhere: such calls are refused.
NONE = "none"

#: What a refusal ends with.
REMEDY = (
    "Services that are not served here go to moto after `pip install 'duestream[moto]'` (in memory), "
    "or to an endpoint that `duestream up --forward` names."
)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where calls go that are not carried out here.

    Args:
        default: a URL, `AWS`, `MOTO`, or None for nowhere.
        services: the same for single services, under the names that the user wrote.
    """

    default: str | None = None
    services: Mapping[str, str] = field(default_factory=dict)


def parse_forwarding(options: Iterable[str], *, has_moto: bool) -> Forwarding:
    """Read ``--forward`` options: ``URL``, ``aws``, ``moto``, ``none``, or one of them after ``service=``.

    Args:
        options: as they were given.
        has_moto: moto can be started; it is then where calls go for which nothing else was said.

    Raises:
        SettingsError: one cannot be read, or two say different things of one service.
    """
    default: str | None = None
    services: dict[str, str] = {}
    for option in options:
        service, target = _split(option)
        _check(option, target, has_moto=has_moto)
        if service is None:
            if default not in (None, target):
                raise SettingsError(f"--forward {option}: {default} is named for all services already.")
            default = target
        elif services.setdefault(service, target) != target:
            raise SettingsError(f"--forward {option}: {services[service]} is named for {service} already.")
    if default is None and has_moto:
        default = MOTO
    return Forwarding(None if default == NONE else default, services)


def _split(option: str) -> tuple[str | None, str]:
    name, equals, target = option.partition("=")
    if equals and name and name.replace("-", "").isalnum():
        return name.lower(), target
    return None, option


def _check(option: str, target: str, *, has_moto: bool) -> None:
    if target in (AWS, NONE):
        return
    if target == MOTO:
        if not has_moto:
            raise SettingsError(f"--forward {option}: moto is not installed. pip install 'duestream[moto]'")
        return
    try:
        url = urlsplit(target)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
        usable = usable and url.username is None and not url.query and not url.fragment
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"--forward {option!r} names no endpoint. Write http://host:port, aws, moto or none, "
            "for one service as sns=http://host:port."
        )
