"""What backfill and reconcile begin with: the app, whom to ask, and who keeps the schedules there."""

from dataclasses import dataclass

from duestream.aws.stack.session import Access, is_local_engine, told_plainly
from duestream.aws.upkeep.group import Group
from duestream.aws.upkeep.keepers import Keeper, SchedulerKeeper, settings_of_deployed
from duestream.cli.admin_client import AdminClient
from duestream.cli.local_keeper import ServerKeeper
from duestream.cli.stack_door import Where
from duestream.clock import SystemClock
from duestream.core.app import App
from duestream.core.schedule import Place


@dataclass(frozen=True, slots=True)
class Tended:
    """An app where it runs."""

    access: Access
    group: Group
    keeper: Keeper
    place: Place
    is_local: bool


def tended(app: App, where: Where, *, calls_per_second: float | None) -> Tended:
    """Find the app where it runs.

    Args:
        app: the app.
        where: as it was said on the command line.
        calls_per_second: to EventBridge Scheduler, at the most.

    Raises:
        SettingsError: there is no way to AWS.
        AwsError: the app is not deployed there, or AWS cannot be asked.
    """
    access = where.access()
    clock = SystemClock()
    group = Group(access, app.name, calls_per_second=calls_per_second)
    with told_plainly(access):
        is_local = is_local_engine(access)
    if is_local:
        assert access.endpoint_url is not None
        keeper: Keeper = ServerKeeper(AdminClient(access.endpoint_url), app, clock)
        return Tended(access, group, keeper, Place(region=access.region), is_local=True)
    settings = settings_of_deployed(access, app)
    keeper = SchedulerKeeper(access, app, settings, group, now=clock.now)
    return Tended(access, group, keeper, settings.place, is_local=False)
