"""`duestream up`: serves until it is told to stop."""

import asyncio
import configparser
import gc
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from duestream.cli.announcement import announce
from duestream.cli.app_file import load_app
from duestream.cli.flow_log import FlowLog
from duestream.cli.flow_words import Words
from duestream.clock import Clock, ManualClock, SystemClock
from duestream.core.forwarding import parse_forwarding
from duestream.errors import SettingsError
from duestream.local.engine import moto
from duestream.local.engine.smtp import SmtpSettings
from duestream.local.server import LocalServer, Settings

#: A thread that computes (rules are planned in one) gives the event loop its turn after so long; Python's 5 ms
#: would be added to answers and deliveries again and again while a batch is planned.
SWITCH_INTERVAL_SECONDS = 0.0005


def settings_of(
    *,
    host: str,
    port: int,
    data: Path,
    smtp: str | None,
    clock: str,
    credentials: Path | None,
    allowed_hosts: tuple[str, ...],
    forward: tuple[str, ...] = (),
) -> Settings:
    """The options as the server's settings; the environment is read here and nowhere else.

    Raises:
        SettingsError: one of them cannot be used.
    """
    return Settings(
        data=data,
        host=host,
        port=port,
        clock=parse_clock(clock),
        credentials=read_credentials(credentials) if credentials is not None else {},
        allowed_hosts=allowed_hosts,
        smtp=SmtpSettings.from_environment(smtp, os.environ) if smtp else None,
        forwarding=parse_forwarding(forward, has_moto=moto.is_installed()),
    )


def parse_clock(text: str) -> Clock:
    """``system``, ``manual`` (standing at the present moment) or ``manual=2030-01-01T09:00:00Z`` (UTC if not said).

    Raises:
        SettingsError: it is none of these.
    """
    kind, equals, start = text.partition("=")
    if kind == "system" and not equals:
        return SystemClock()
    if kind != "manual":
        raise SettingsError(f"--clock {text!r} is no clock. Write system, manual or manual=2030-01-01T09:00:00Z.")
    if not equals:
        return ManualClock(SystemClock().now())
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        raise SettingsError(
            f"--clock {text!r} does not start at a moment. Write it in ISO 8601: manual=2030-01-01T09:00:00Z."
        ) from None
    return ManualClock(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def read_credentials(path: Path) -> Mapping[str, str]:
    """Access key ids and their secrets, of all profiles in a file like ``~/.aws/credentials``.

    Raises:
        SettingsError: the file cannot be read, or there is no key in it.
    """
    form = "Its form is:\n\n[default]\naws_access_key_id = ...\naws_secret_access_key = ..."
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}. --credentials takes a file of keys.") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        first_line = str(error).splitlines()[0]  # the further ones quote the file, and it holds secrets
        raise SettingsError(f"{path} is no credentials file: {first_line} {form}") from None
    found: dict[str, str] = {}
    for name in parser.sections():
        key_id, secret = parser[name].get("aws_access_key_id"), parser[name].get("aws_secret_access_key")
        if bool(key_id) != bool(secret):
            missing = "aws_access_key_id" if secret else "aws_secret_access_key"
            raise SettingsError(f"{path}: profile [{name}] has no {missing}. {form}")
        if key_id and secret:
            found[key_id] = secret
    if not found:
        raise SettingsError(f"{path} has no key in it. {form}")
    return found


def serve(settings: Settings, named: str | None, *, as_json: bool) -> int:
    """Serve until SIGINT or SIGTERM; answers the exit code. Does not return if a user's thread hangs on.

    Raises:
        Error: the rule file, a setting or the data folder cannot be used.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    app = load_app(named) if named else None
    stdout = sys.stdout
    # stdout is for our own lines, which programs read; what the user's functions print goes to stderr.
    with redirect_stdout(sys.stderr), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(LocalServer(settings, app), stdout, as_json=as_json))
        _leave_if_threads_hang()
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    return uvloop.Loop


async def _serve(server: LocalServer, stdout: TextIO, *, as_json: bool) -> None:
    told_to_stop = asyncio.Event()
    _on_signals(told_to_stop)
    await server.start()
    _spare_the_collector()
    log = FlowLog(as_json=as_json, words=Words(coloured=_is_coloured(stdout)), stream=stdout)
    try:
        # Before the loops have had their first turn, so that the first line is the first.
        announce(server, as_json=as_json, stream=stdout)
        log.start()
        await told_to_stop.wait()
    finally:
        await server.stop()
        log.stop()


def _spare_the_collector() -> None:
    """What is loaded now stays: keep the garbage collector from walking through it again and again.

    Measured at 64 connections: the slowest hundredth of PutItem takes 19 ms instead of 31 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _on_signals(told_to_stop: asyncio.Event) -> None:
    """The first SIGINT or SIGTERM asks for an orderly end, the second ends at once."""

    def tell() -> None:
        if told_to_stop.is_set():
            os._exit(1)  # nothing that was acknowledged is lost by it
        told_to_stop.set()
        print("stopping; once more to end at once", file=sys.stderr, flush=True)  # noqa: T201 - told to a person

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, tell)


def _is_coloured(stdout: TextIO) -> bool:
    """On a terminal, unless asked not to be (https://no-color.org)."""
    return stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _leave_if_threads_hang() -> None:
    """A function of the user's that never returns would keep the interpreter from ending."""
    hanging = [one for one in threading.enumerate() if one.name.startswith("duestream-") and not one.daemon]
    for thread in hanging:
        thread.join(0.2)  # idle ones end by themselves
    if any(thread.is_alive() for thread in hanging):
        sys.stderr.flush()  # stdout was flushed by the log
        os._exit(0)
