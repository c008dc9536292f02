"""What the commands about dead letters and items begin with: a running server, or an app on AWS.

boto3 is imported only where an app is named: to ask a server takes none of it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duestream.cli.admin_client import DEFAULT_URL, AdminClient
from duestream.cli.dead_letters import Box, ServerBox
from duestream.errors import SettingsError

if TYPE_CHECKING:
    from duestream.aws.stack.session import Access
    from duestream.core.app import App


@dataclass(frozen=True, slots=True)
class OnAws:
    """An app on AWS."""

    app: "App"
    access: "Access"


def who_answers(
    named: str | None, *, endpoint_url: str | None, region: str | None, profile: str | None
) -> AdminClient | OnAws:
    """Whom to ask.

    Args:
        named: the app; None: a running server is asked.
        endpoint_url: the server, or what speaks as AWS does; None: as the environment says.
        region: AWS's; None: as the environment or the profile says.
        profile: None: as the environment says.

    Raises:
        RuleError: the rule file has a mistake.
        SettingsError: there is no way to AWS, or AWS is meant and no app was named.
    """
    if named is None:
        if region is not None or profile is not None:
            raise SettingsError("--region and --profile are for an app on AWS: name it with --app")
        return AdminClient(endpoint_url or DEFAULT_URL)
    from duestream.aws.stack.session import is_local_engine, told_plainly  # noqa: PLC0415 - lazy: see above
    from duestream.cli.app_file import load_app  # noqa: PLC0415
    from duestream.cli.stack_door import Where  # noqa: PLC0415

    app, access = load_app(named), Where(None, endpoint_url, region, profile).access()
    with told_plainly(access):
        is_local = is_local_engine(access)
    if is_local:
        assert access.endpoint_url is not None
        return AdminClient(access.endpoint_url)
    return OnAws(app, access)


def open_box(named: str | None, *, endpoint_url: str | None, region: str | None, profile: str | None) -> Box:
    """The dead letters of whom `who_answers` says; raises what that raises."""
    answering = who_answers(named, endpoint_url=endpoint_url, region=region, profile=profile)
    if isinstance(answering, AdminClient):
        return ServerBox(answering)
    from duestream.cli.aws_letters import AwsBox  # noqa: PLC0415 - lazy: see above

    return AwsBox(answering.access, answering.app)
