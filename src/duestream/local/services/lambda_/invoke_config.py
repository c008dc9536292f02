"""What becomes of asynchronous invocations: retries, age, and who is told."""

from collections.abc import Mapping
from typing import Any

from duestream.clock import from_ms
from duestream.local.services.context import RequestContext
from duestream.local.services.lambda_.destinations import OF_INVOCATIONS, check_destination
from duestream.local.services.lambda_.names import LATEST, named_function
from duestream.local.store import functions
from duestream.local.store.function_errors import ResourceNotFoundException
from duestream.local.store.functions import Function
from duestream.local.store.writer import Transaction

_MEMBERS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


async def put_function_event_invoke_config(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Say it anew."""
    return await _set(context, parameters, keep=False)


async def update_function_event_invoke_config(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Change what is given, and leave the rest."""
    return await _set(context, parameters, keep=True)


async def get_function_event_invoke_config(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show it."""
    function = named_function(context, context.store.reader, parameters)
    if function.invoke_config is None:
        raise _none(function)
    return _shown(function, function.invoke_config)


async def delete_function_event_invoke_config(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Go back to what holds where nothing is said."""

    def delete(tx: Transaction) -> None:
        function = named_function(context, tx.connection, parameters)
        if function.invoke_config is None:
            raise _none(function)
        functions.set_invoke_config(tx, function, None)

    await context.store.write(delete)
    return {}


async def _set(context: RequestContext, parameters: Mapping[str, Any], *, keep: bool) -> dict[str, Any]:
    given = {name: parameters[name] for name in _MEMBERS if name in parameters}
    for destination in given.get("DestinationConfig", {}).values():
        check_destination(context, context.store.reader, destination.get("Destination"), OF_INVOCATIONS)
    now_ms = context.clock.now_ms()

    def put(tx: Transaction) -> dict[str, Any]:
        function = named_function(context, tx.connection, parameters)
        before = function.invoke_config
        if keep and before is None:
            raise _none(function)
        config = {**(before or {} if keep else {}), **given, "LastModified": now_ms}
        functions.set_invoke_config(tx, function, config)
        return _shown(function, config)

    return await context.store.write(put)


def _none(function: Function) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"The function {function.arn}:{LATEST} doesn't have an EventInvokeConfig")


def _shown(function: Function, config: Mapping[str, Any]) -> dict[str, Any]:
    destinations = {"OnSuccess": {}, "OnFailure": {}, **config.get("DestinationConfig", {})}
    return {
        "FunctionArn": f"{function.arn}:{LATEST}",
        **config,
        "LastModified": from_ms(config["LastModified"]),
        "DestinationConfig": destinations,
    }
