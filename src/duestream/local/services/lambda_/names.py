"""Which function a request means, and how a function is shown."""

from collections.abc import Mapping
from typing import Any

import apsw

from duestream.clock import from_ms
from duestream.local.services.context import FunctionRunner, RequestContext
from duestream.local.store import functions
from duestream.local.store.function_errors import no_function
from duestream.local.store.functions import Function, function_name_of

LATEST = "$LATEST"


def named_function(context: RequestContext, connection: apsw.Connection, parameters: Mapping[str, Any]) -> Function:
    """The function that a request names: by name, ARN or part of one, with or without ``$LATEST``.

    Raises:
        ResourceNotFoundException: there is no such function, or no such version or alias of it.
    """
    given: str = parameters["FunctionName"]
    name = function_name_of(given)
    parts = given.split(":")
    in_name = parts[-1] if parts[-1] != name else None
    qualifier = parameters.get("Qualifier") or in_name
    function = functions.get_function(connection, name)
    arn = context.place.arn("lambda", f"function:{name}") if function is None else function.arn
    if function is None or qualifier not in (None, LATEST):  # there are no versions and aliases here
        raise no_function(arn if qualifier is None else f"{arn}:{qualifier}")
    return function


def runner_of(context: RequestContext) -> FunctionRunner:
    """Who runs functions."""
    assert context.functions is not None, "the server gives every request one"
    return context.functions


def shown(function: Function) -> dict[str, Any]:
    """A function's configuration as AWS shows it once the function is ready, which here is at once."""
    configuration = function.configuration
    return {
        "FunctionName": function.name,
        "FunctionArn": function.arn,
        "CodeSize": function.code_size,
        "CodeSha256": function.code_sha256,
        "Description": "",
        "LastModified": f"{from_ms(function.last_modified_at_ms):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "+0000",
        "Version": LATEST,
        "RevisionId": function.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "TracingConfig": {"Mode": "PassThrough"},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.name}"},
        **configuration,
    }
