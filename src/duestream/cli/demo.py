"""`duestream demo`: the whole way, played with the real server and the client that users have.

It starts `duestream up` as a process of its own on a free port, with a rule file in a temporary folder, and
then only talks to it as a user would: boto3 writes the appointments, moves one and deletes one, and the mailbox
page says what came. Nothing is looked up behind the server's back.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import typer

from duestream.cli.demo_client import Client
from duestream.cli.demo_process import serving
from duestream.cli.demo_report import Appointment, Report
from duestream.cli.demo_screen import Screen
from duestream.clock import SystemClock, from_ms, to_ms

RULES = Path(__file__).with_name("demo_rules.py")
#: The moved appointment is put off by so much.
MOVED_BY = timedelta(seconds=2)
#: The changes are made after so many writes, so that they come before the due time, however many there are.
CHANGED_AFTER = 10
#: Between two looks into the mailbox.
POLL_SECONDS = 0.1
#: After the last due time: what should not come has so long to come all the same.
WATCH_ON_MS = 500
#: After it, what has not come is missing.
GIVE_UP_MS = 10_000


def run_demo(*, appointments: int, seconds: float, as_json: bool) -> int:
    """Play it, and show what came; answers the exit code: 1 if anything was missing, early, doubled or late.

    Args:
        appointments: how many items to write; the second is moved, the third deleted, where there are so many.
        seconds: how far ahead of its write each is due.
        as_json: the last line, and the only one on stdout, is one JSON object.

    Raises:
        Error: the server did not start.
    """
    screen = Screen(as_json=as_json)
    with _folder() as folder:
        rules = Path(shutil.copy(RULES, folder / "appointments.py"))
        with serving(rules, folder / "data") as url:
            screen.say(f"duestream up appointments.py serves {url}")
            report = _play(Client(url), screen, appointments, timedelta(seconds=seconds))
    screen.show(report)
    if as_json:
        typer.echo(json.dumps(report.summary()))
    return 0 if report.is_good else 1


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="duestream-demo-") as name:
        yield Path(name)


def _play(client: Client, screen: Screen, count: int, ahead: timedelta) -> Report:
    clock = SystemClock()
    written: list[Appointment] = []
    for number in range(1, count + 1):
        appointment = Appointment(number, due_at=from_ms(to_ms(clock.now() + ahead)))  # in whole milliseconds
        client.put(appointment)
        written.append(appointment)
        if number == min(count, CHANGED_AFTER):
            _change(client, screen, written)
    screen.say(f"wrote {count} appointment{'' if count == 1 else 's'}, due {ahead.total_seconds():g} s after the write")
    return Report(written, _deliveries(client, screen, written, clock))


def _change(client: Client, screen: Screen, written: Sequence[Appointment]) -> None:
    """Move the second, delete the third."""
    if len(written) >= 2:
        moved = written[1]
        moved.moved_to(moved.due_at + MOVED_BY)
        client.move(moved)
        screen.say(f"moved {moved.name} by {MOVED_BY.total_seconds():g} s")
    if len(written) >= 3:
        deleted = written[2]
        client.delete(deleted)
        deleted.is_deleted = True
        screen.say(f"deleted {deleted.name}")


def _deliveries(
    client: Client, screen: Screen, written: Sequence[Appointment], clock: SystemClock
) -> dict[str, list[datetime]]:
    """Watch the mailbox until all has come, and a little longer for what should not: address to moments."""
    expected = {appointment.email for appointment in written if not appointment.is_deleted}
    last_due_ms = max(to_ms(appointment.due_at) for appointment in written)
    with screen.progress(len(expected)) as advance:
        while True:
            found = client.delivered()
            advance(len(expected & found.keys()))
            since_ms = clock.now_ms() - last_due_ms
            if since_ms >= GIVE_UP_MS or (since_ms >= WATCH_ON_MS and expected <= found.keys()):
                return found
            time.sleep(POLL_SECONDS)  # noqa: TID251 - a client beside the server, waiting as users' scripts do
