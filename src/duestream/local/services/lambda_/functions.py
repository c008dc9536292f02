"""CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, GetFunction, ListFunctions, DeleteFunction."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from duestream.core.code_archive import CodeArchiveError, check_archive
from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.lambda_.destinations import OF_DEAD_LETTERS, check_destination
from duestream.local.services.lambda_.names import named_function, runner_of, shown
from duestream.local.store import functions
from duestream.local.store.function_errors import (
    InvalidParameterValueException,
    LambdaError,
    ResourceConflictException,
)
from duestream.local.store.functions import Function, function_name_of
from duestream.local.store.writer import Transaction

MAX_PAGE = 50
#: Such ARNs stand for functions in the rule file.
RESERVED_ENDING = "-when-due"
MAX_TIMEOUT_SECONDS = 900
MAX_VARIABLES_BYTES = 4096
#: AWS's quota for a zip file sent in the request ("Lambda quotas"): 50 MB.
MAX_ZIP_BYTES = 52_428_800
#: What of a request is kept and shown as it was given. Those without a word in the manual have no effect.
_KEPT = (
    "Runtime",
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "VpcConfig",
    "DeadLetterConfig",
    "Environment",
    "KMSKeyArn",
    "TracingConfig",
    "EphemeralStorage",
    "LoggingConfig",
    "Architectures",
)
#: What is not served, and so not taken.
_REFUSED = {
    "Layers": "layers",
    "FileSystemConfigs": "file systems",
    "ImageConfig": "container images",
    "CodeSigningConfigArn": "code signing",
    "CapacityProviderConfig": "capacity providers",
    "DurableConfig": "durable executions",
    "TenancyConfig": "tenant isolation",
    "Publish": "versions",
    "PublishTo": "versions",
}
_is_reserved = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_DEFAULT_REGION|AWS_REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_\w+|AWS_ACCESS_KEY\w*"
    r"|AWS_SECRET_ACCESS_KEY|AWS_SECRET_KEY|AWS_SESSION_TOKEN|AWS_SECURITY_TOKEN|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR"
).fullmatch


class PreconditionFailedException(LambdaError):
    """The function is not of the revision that the request is meant for."""

    status = 412


class CodeStorageExceededException(LambdaError):
    """The code is too large."""


async def create_function(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Create a function from a zip file. It can be invoked at once."""
    name = function_name_of(parameters["FunctionName"])
    _refuse_unserved(parameters)
    if name.endswith(RESERVED_ENDING):
        raise InvalidParameterValueException(f"Names that end in {RESERVED_ENDING} are those of rules' own functions.")
    if parameters.get("PackageType", "Zip") != "Zip":
        raise InvalidParameterValueException("This version of duestream runs no container images. Upload a zip file.")
    if not parameters.get("Runtime") or not parameters.get("Handler"):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    configuration = {"Timeout": 3, "MemorySize": 128, **_configuration(context, parameters)}
    code = await _code_from(parameters["Code"])
    await runner_of(context).check_runtime(configuration["Runtime"])
    region, now_ms = context.place.region, context.clock.now_ms()

    def create(tx: Transaction) -> Function:
        if functions.get_function(tx.connection, name) is not None:
            raise ResourceConflictException(f"Function already exist: {name}")
        return functions.create_function(
            tx,
            name,
            region=region,
            configuration=configuration,
            code=code,
            tags=parameters.get("Tags", {}),
            now_ms=now_ms,
        )

    answer = shown(await context.store.write(create))
    del answer["LastUpdateStatus"]
    pending = {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"}
    return answer | pending


async def update_function_code(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the code; processes of the old code end after what they are at."""
    _refuse_unserved(parameters)
    code = await _code_from(parameters)
    now_ms = context.clock.now_ms()

    def update(tx: Transaction) -> Function:
        function = _present(context, tx, parameters)
        if architectures := parameters.get("Architectures"):
            changed = {**function.configuration, "Architectures": architectures}
            function = functions.set_configuration(tx, function, changed, now_ms)
        return functions.set_code(tx, function, code, now_ms)

    if parameters.get("DryRun"):
        return shown(named_function(context, context.store.reader, parameters))
    return _updating(context, await context.store.write(update))


async def update_function_configuration(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Change what is given of the configuration, and leave the rest."""
    _refuse_unserved(parameters)
    changed = _configuration(context, parameters)
    if "Runtime" in changed:
        await runner_of(context).check_runtime(changed["Runtime"])
    now_ms = context.clock.now_ms()

    def update(tx: Transaction) -> Function:
        function = _present(context, tx, parameters)
        return functions.set_configuration(tx, function, {**function.configuration, **changed}, now_ms)

    return _updating(context, await context.store.write(update))


async def get_function(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show a function. Its code cannot be downloaded."""
    function = named_function(context, context.store.reader, parameters)
    answer: dict[str, Any] = {"Configuration": shown(function), "Code": {"RepositoryType": "S3"}}
    return {**answer, "Tags": function.tags} if function.tags else answer


async def get_function_configuration(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show a function's configuration."""
    return shown(named_function(context, context.store.reader, parameters))


async def list_functions(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page, by name."""
    limit = min(parameters.get("MaxItems", MAX_PAGE), MAX_PAGE)
    found = functions.list_functions(context.store.reader, after=parameters.get("Marker", ""), limit=limit + 1)
    listed = []
    for function in found[:limit]:
        one = shown(function)
        del one["State"], one["LastUpdateStatus"]  # AWS does not list them
        listed.append(one)
    answer: dict[str, Any] = {"Functions": listed}
    return {**answer, "NextMarker": found[limit - 1].name} if len(found) > limit else answer


async def delete_function(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a function, its processes, and its asynchronous invocations that have not ended."""

    def delete(tx: Transaction) -> None:
        functions.delete_function(tx, named_function(context, tx.connection, parameters))

    await context.store.write(delete)
    runner_of(context).forget_deleted()
    return {"StatusCode": 204}


async def put_function_concurrency(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Refused: it would have no effect."""
    named_function(context, context.store.reader, parameters)
    raise InvalidParameterValueException(
        "This version of duestream has no reserved concurrency: a function runs in at most ten processes at a time, "
        "and further invocations wait."
    )


def _present(context: RequestContext, tx: Transaction, parameters: Mapping[str, Any]) -> Function:
    function = named_function(context, tx.connection, parameters)
    if parameters.get("RevisionId") not in (None, function.revision_id):
        raise PreconditionFailedException(
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve "
            "the latest RevisionId for your resource."
        )
    return function


def _updating(context: RequestContext, function: Function) -> dict[str, Any]:
    runner_of(context).forget_deleted()
    return shown(function) | {
        "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.",
        "LastUpdateStatusReasonCode": "Creating",
    }


def _refuse_unserved(parameters: Mapping[str, Any]) -> None:
    for name, what in _REFUSED.items():
        if parameters.get(name):
            raise InvalidParameterValueException(f"This version of duestream has no {what} for functions ({name}).")
    if parameters.get("SnapStart", {}).get("ApplyOn", "None") != "None":
        raise InvalidParameterValueException("This version of duestream has no SnapStart.")


def _configuration(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are kept, checked as far as the model does not."""
    timeout = parameters.get("Timeout", 0)
    if timeout > MAX_TIMEOUT_SECONDS:
        raise ValidationException(
            f"1 validation error detected: Value '{timeout}' at 'timeout' failed to satisfy constraint: "
            f"Member must have value less than or equal to {MAX_TIMEOUT_SECONDS}"
        )
    variables: Mapping[str, str] = parameters.get("Environment", {}).get("Variables", {})
    if reserved := sorted(name for name in variables if _is_reserved(name)):
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}"
        )
    if sum(len(name.encode()) + len(value.encode()) for name, value in variables.items()) > MAX_VARIABLES_BYTES:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided exceeded the 4KB limit."
        )
    kept = {name: parameters[name] for name in _KEPT if name in parameters}
    if "Environment" in kept:
        kept["Environment"] = {"Variables": dict(variables)}
    dead_letter_arn = kept.get("DeadLetterConfig", {}).get("TargetArn")
    check_destination(context, context.store.reader, dead_letter_arn, OF_DEAD_LETTERS)
    return kept


async def _code_from(code: Mapping[str, Any]) -> bytes:
    """The zip file of a request, which can be unpacked."""
    zip_file: bytes | None = code.get("ZipFile")
    if zip_file is None:
        raise InvalidParameterValueException(
            "This version of duestream takes code as a zip file in the request only (ZipFile; "
            "with the AWS CLI --zip-file fileb://function.zip), not from S3 or as an image."
        )
    if len(zip_file) > MAX_ZIP_BYTES:
        raise CodeStorageExceededException(f"Unzipped or zipped size must be smaller than {MAX_ZIP_BYTES} bytes")
    try:
        await asyncio.to_thread(check_archive, zip_file)
    except CodeArchiveError as error:
        raise InvalidParameterValueException(
            f"Could not unzip uploaded file. Please check your file, then try to upload again. ({error})"
        ) from error
    return zip_file
