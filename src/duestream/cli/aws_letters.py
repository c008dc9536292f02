"""Dead letters of an app on AWS, for the commands."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from duestream.aws.stack.session import Access, AwsError
from duestream.aws.upkeep.dead_letter_queues import MAX_LOOKED_AT, DeadLetterQueues, Look
from duestream.aws.upkeep.dead_letter_redrive import Redriven, Redriver
from duestream.aws.upkeep.dead_letters import Letter, LetterFilter, facts_of, whole_of
from duestream.aws.upkeep.group import Group
from duestream.aws.upkeep.keepers import SchedulerKeeper, settings_of_deployed
from duestream.cli.dead_letters import Action, Found, Wanted
from duestream.clock import Clock, SystemClock
from duestream.core.app import App

#: Letters that are ended side by side, and those that are taken on at once.
SIDE_BY_SIDE = 8
CHUNK = 16


class AwsBox:
    """An app's on AWS. Each look receives the letters, and gives them back.

    Args:
        access: the way to AWS.
        app: the app.
        clock: tells the time.
        queues: of the app; None: as they are by default.
    """

    def __init__(
        self, access: Access, app: App, clock: Clock | None = None, queues: DeadLetterQueues | None = None
    ) -> None:
        self._access, self._app, self._clock = access, app, clock or SystemClock()
        self._queues = queues or DeadLetterQueues(access, app.name)
        self.notes: list[str] = []

    def find(self, wanted: Wanted, limit: int) -> Found:
        """See `Box.find`."""
        now = self._clock.now()
        with self._queues.look(self._taking(wanted), lambda found: len(found) > limit) as look:
            letters = [facts_of(letter, now) for letter in look.letters[:limit]]
            is_all = not look.is_cut_off and len(look.letters) <= limit
            self.notes = _notes(look)
            return Found(letters, is_all)

    def show(self, named: str) -> dict[str, Any]:
        """See `Box.show`."""
        now = self._clock.now()
        with self._queues.look(lambda letter: letter.message_id == named, bool) as look:
            if not look.letters:
                more = ", as far as they were looked through" if look.is_cut_off else ""
                held = f" About {look.in_flight} are held by somebody else." if look.in_flight else ""
                raise AwsError(f"there is no dead letter {named} in the queues of {self._app.name}{more}.{held}")
            return whole_of(look.letters[0], now)

    def end(
        self, action: Action, named: Sequence[str] | None, wanted: Wanted, *, dry_run: bool, force: bool
    ) -> Iterator[list[dict[str, Any]]]:
        """See `Box.end`."""
        end = self._ending(action, dry_run=dry_run, force=force)
        asked = set(named or ())
        takes = self._taking(wanted) if named is None else lambda letter: letter.message_id in asked

        def is_enough(found: Sequence[Letter]) -> bool:
            return named is not None and len(found) == len(asked)

        with (
            self._queues.look(takes, is_enough) as look,
            ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="redrive") as pool,
        ):
            self.notes = [] if named is not None else _notes(look)
            gone = asked - {letter.message_id for letter in look.letters}
            for start in range(0, len(look.letters), CHUNK):
                chunk = look.letters[start : start + CHUNK]
                held = self._queues.hold_on(chunk)
                lost = [letter.message_id for letter in chunk if letter.message_id not in held]
                ended = list(pool.map(end, (letter for letter in chunk if letter.message_id in held)))
                ended += [Redriven(name, "in flight", "somebody else received it meanwhile") for name in lost]
                yield [asdict(one) for one in ended]
            if gone:
                why = "it is in none of the queues, or somebody else holds it"
                yield [asdict(Redriven(name, "gone", why)) for name in named or () if name in gone]

    def _taking(self, wanted: Wanted) -> Callable[[Letter], bool]:
        letter_filter, now = LetterFilter(**wanted.asked()), self._clock.now()
        return lambda letter: letter_filter.takes(facts_of(letter, now))

    def _ending(self, action: Action, *, dry_run: bool, force: bool) -> Callable[[Letter], Redriven]:
        """What is done with a letter that we hold."""
        redriver = self._redriver() if action == "redrive" else None

        def end(letter: Letter) -> Redriven:
            ended = (
                Redriven(letter.message_id, "dropped", "dropped by hand")
                if redriver is None
                else redriver.redrive(letter, dry_run=dry_run, force=force)
            )
            if dry_run or ended.result not in ("redriven", "dropped"):
                return ended
            try:
                self._queues.delete(letter)
            except AwsError as error:
                if redriver is None:
                    return replace(ended, result="refused", reason=str(error))
                return replace(ended, reason=f"{ended.reason or 'done'}, but it is in its queue still: {error}")
            return ended

        return end

    def _redriver(self) -> Redriver:
        settings = settings_of_deployed(self._access, self._app)
        group = Group(self._access, self._app.name)
        keeper = SchedulerKeeper(self._access, self._app, settings, group, now=self._clock.now)
        return Redriver(self._access, self._app, settings, group, keeper, now=self._clock.now)


def _notes(look: Look) -> list[str]:
    """What there is to say beside the letters."""
    notes = list(look.notes)
    if look.in_flight:
        notes.append(f"about {look.in_flight} more are held by somebody else, and were not looked at")
    if look.is_cut_off:
        notes.append(f"{MAX_LOOKED_AT:,} messages of a queue were looked at; there are more: run it again for the rest")
    return notes
