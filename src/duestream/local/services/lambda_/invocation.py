"""Invoke: and wait for the answer, or have it carried out some time soon, or only see whether it could be."""

import base64
from collections.abc import Mapping
from typing import Any

from duestream.local.services.context import RequestContext
from duestream.local.services.lambda_.names import LATEST, named_function, runner_of
from duestream.local.store import functions
from duestream.local.store.writer import Transaction


async def invoke(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke a function. An asynchronous invocation (``Event``) is durable once it is answered."""
    function = named_function(context, context.store.reader, parameters)
    kind = parameters.get("InvocationType", "RequestResponse")
    payload = functions.checked_event(parameters.get("Payload") or b"", kind)
    client_context = parameters.get("ClientContext")
    if client_context is not None:
        client_context = base64.b64decode(client_context).decode("utf-8", "replace")
    if kind == "DryRun":
        return {"StatusCode": 204}
    if kind == "Event":
        now_ms = context.clock.now_ms()

        def accept(tx: Transaction) -> None:
            present = named_function(context, tx.connection, parameters)
            functions.accept_invocation(
                tx, present, payload, request_id=context.request_id, client_context=client_context, now_ms=now_ms
            )

        await context.store.write(accept)
        return {"StatusCode": 202, "Payload": b""}
    result = await runner_of(context).invoke(
        function.name, payload, request_id=context.request_id, client_context=client_context
    )
    answer: dict[str, Any] = {"StatusCode": 200, "Payload": result.payload, "ExecutedVersion": LATEST}
    if result.function_error is not None:
        answer["FunctionError"] = result.function_error
    if parameters.get("LogType") == "Tail":
        answer["LogResult"] = base64.b64encode(result.log_tail).decode("ascii")
    return answer
