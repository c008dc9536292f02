"""`duestream deploy`: puts an app's rules on AWS, as one stack."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.text import Text

from duestream.aws.stack.deploy import Deployment, Outcome
from duestream.aws.stack.draft import Draft
from duestream.aws.stack.session import AwsError, is_local_engine, told_plainly
from duestream.cli.stack_door import Where, consent, draft_of, pause
from duestream.cli.stack_view import (
    ProgressView,
    change_facts,
    failure_facts,
    progress_console,
    show_failure,
    show_question,
    stack_facts,
)
from duestream.cli.synth import Typed
from duestream.clock import SystemClock

#: Results that are what was asked for.
_GOOD = frozenset({"deployed", "unchanged"})


def deploy_app(typed: Typed, where: Where, *, yes: bool, as_json: bool) -> int:
    """Deploy; answers the exit code.

    Args:
        typed: what is to be deployed.
        where: to.
        yes: ask nothing.

    Raises:
        Error: it cannot be begun.
    """
    draft = draft_of(typed, where)
    access = where.access()
    refuse_local(is_local_engine(access), typed.app)
    console = progress_console(as_json=as_json)
    with told_plainly(access):
        identity = access.identity()
        console.print(Text(f"stack {draft.stack_name} in account {identity.account_id}, {access.where}"))
        with ProgressView(console) as view:
            deployment = Deployment(
                access=access,
                identity=identity,
                draft=draft,
                bucket_name=where.bucket,
                clock=SystemClock(),
                pause=pause(),
                report=view.report,
                consent=consent(yes=yes, show=show_question(console)),
            )
            try:
                outcome = deployment.run()
            except KeyboardInterrupt:
                view.rest()
                raise AwsError(_interrupted(draft.stack_name)) from None
    if as_json:
        typer.echo(json.dumps(_facts(outcome, draft), ensure_ascii=False))
    else:
        _tell(outcome, draft, typed.app)
    return 0 if outcome.result in _GOOD else 1


def refuse_local(is_local: bool, named: str) -> None:
    """A duestream server has no stacks: it carries the rules out itself.

    Raises:
        AwsError: it is one.
    """
    if is_local:
        raise AwsError(
            "a duestream server answers there, and it has no stacks",
            remedy=f"It carries rules out itself: duestream up {named}.",
        )


def _interrupted(stack_name: str) -> str:
    return (
        "interrupted. What CloudFormation has begun, it goes on with. The same command again waits for its end and goes "
        f"on from there; aws cloudformation cancel-update-stack --stack-name {stack_name} stops an update."
    )


def _tell(outcome: Outcome, draft: Draft, named: str) -> None:
    console = progress_console(as_json=False)
    match outcome.result:
        case "deployed":
            console.print(Text(f"deployed: stack {draft.stack_name} is {_status(outcome)}", style="green"))
            _show_outputs(outcome.stack.outputs if outcome.stack else {})
            console.print(Text(f"Look after it with: duestream status {named} --stack {draft.stack_name}"))
        case "unchanged":
            console.print(Text(f"no changes: stack {draft.stack_name} is as these rules want it"))
        case "declined":
            console.print(Text("not deployed: nothing was changed"))
        case _:
            show_failure(console, outcome.stack, outcome.failure)


def _show_outputs(outputs: Mapping[str, str]) -> None:
    width = max(map(len, outputs), default=0)
    for name, value in sorted(outputs.items()):
        typer.echo(f"  {name:<{width}}  {value}")


def _status(outcome: Outcome) -> str:
    return outcome.stack.status if outcome.stack else "gone"


def _facts(outcome: Outcome, draft: Draft) -> dict[str, Any]:
    return {
        "result": outcome.result,
        "stack_name": draft.stack_name,
        "stack": stack_facts(outcome.stack),
        "changes": [change_facts(change) for change in outcome.changes],
        "failure": failure_facts(outcome.failure),
        "uploaded": outcome.uploaded,
    }
