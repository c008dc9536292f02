"""Event source mappings on tables' streams and on queues."""

import uuid
from collections.abc import Mapping
from typing import Any

import apsw

from duestream.clock import from_ms
from duestream.core.event_pattern import EventPattern, EventPatternError
from duestream.local.services.context import RequestContext
from duestream.local.services.lambda_.destinations import OF_MAPPINGS, check_destination
from duestream.local.store import functions, mappings, queues, streams
from duestream.local.store.function_errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from duestream.local.store.functions import function_name_of
from duestream.local.store.mappings import EventSourceMapping
from duestream.local.store.writer import Transaction

MAX_PAGE = 100
_COMMON = ("BatchSize", "MaximumBatchingWindowInSeconds", "FilterCriteria", "FunctionResponseTypes")
_OF_STREAMS = (
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "BisectBatchOnFunctionError",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
)
_OF_QUEUES = ("ScalingConfig",)
#: Of other sources, or not served.
_REFUSED = (
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "SelfManagedEventSource",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "ProvisionedPollerConfig",
    "KMSKeyArn",
    "MetricsConfig",
    "LoggingConfig",
)
_STREAM_DEFAULTS = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "BisectBatchOnFunctionError": False,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
}
_QUEUE_DEFAULTS = {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []}
MAX_BATCH_WITHOUT_WINDOW = 10


async def create_event_source_mapping(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Have a function called with a stream's records or a queue's messages, from now on."""
    name = function_name_of(parameters["FunctionName"])
    source_arn = parameters.get("EventSourceArn", "")
    configuration = _configuration(source_arn, parameters)
    region, now_ms = context.place.region, context.clock.now_ms()

    def create(tx: Transaction) -> EventSourceMapping:
        position = _start(tx.connection, source_arn, parameters)
        if functions.get_function(tx.connection, name) is None:
            raise InvalidParameterValueException("Function does not exist")
        _check_on_failure(context, tx.connection, configuration)
        for other in mappings.list_mappings(tx.connection, function_name=name, source_arn=source_arn):
            raise ResourceConflictException(
                f'The event source arn (" {source_arn} ") and function (" {name} ") provided mapping already exists. '
                f"Please update or delete the existing mapping with UUID {other.uuid}"
            )
        kept = configuration
        if position is not None:
            kept = {**configuration, "StartingPosition": parameters["StartingPosition"]}
        return mappings.create_mapping(
            tx,
            uuid=str(uuid.uuid4()),
            region=region,
            function_name=name,
            source_arn=source_arn,
            configuration=kept,
            is_enabled=parameters.get("Enabled", True),
            tags=parameters.get("Tags", {}),
            position=position,
            now_ms=now_ms,
        )

    return _shown(await context.store.write(create), "Creating")


async def get_event_source_mapping(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show one."""
    mapping = _existing(context.store.reader, parameters["UUID"])
    return _shown(mapping, "Enabled" if mapping.is_enabled else "Disabled")


async def list_event_source_mappings(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page, in the order of their creation."""
    limit = min(parameters.get("MaxItems", MAX_PAGE), MAX_PAGE)
    marker = parameters.get("Marker", "0")
    found = mappings.list_mappings(
        context.store.reader,
        function_name=function_name_of(parameters["FunctionName"]) if "FunctionName" in parameters else None,
        source_arn=parameters.get("EventSourceArn"),
        after_id=int(marker) if marker.isascii() and marker.isdigit() else 0,
        limit=limit + 1,
    )
    listed = [_shown(mapping, "Enabled" if mapping.is_enabled else "Disabled") for mapping in found[:limit]]
    answer: dict[str, Any] = {"EventSourceMappings": listed}
    return {**answer, "NextMarker": str(found[limit - 1].id)} if len(found) > limit else answer


async def update_event_source_mapping(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Change what is given, and leave the rest. What has been read stays read."""
    now_ms = context.clock.now_ms()

    def update(tx: Transaction) -> EventSourceMapping:
        mapping = _existing(tx.connection, parameters["UUID"])
        changed = _configuration(mapping.source_arn, {**mapping.configuration, **parameters})
        if "StartingPosition" in mapping.configuration:
            changed["StartingPosition"] = mapping.configuration["StartingPosition"]
        _check_on_failure(context, tx.connection, changed)
        name = function_name_of(parameters.get("FunctionName", mapping.function_name))
        if functions.get_function(tx.connection, name) is None:
            raise InvalidParameterValueException("Function does not exist")
        return mappings.update_mapping(
            tx,
            mapping,
            function_name=name,
            configuration=changed,
            is_enabled=parameters.get("Enabled", mapping.is_enabled),
            now_ms=now_ms,
        )

    return _shown(await context.store.write(update), "Updating")


async def delete_event_source_mapping(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Delete one. A batch that is under way is not cut off."""

    def delete(tx: Transaction) -> EventSourceMapping:
        mapping = _existing(tx.connection, parameters["UUID"])
        mappings.delete_mapping(tx, mapping)
        return mapping

    return _shown(await context.store.write(delete), "Deleting")


def _existing(connection: apsw.Connection, mapping_uuid: str) -> EventSourceMapping:
    mapping = mappings.get_mapping(connection, mapping_uuid)
    if mapping is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return mapping


def _configuration(source_arn: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request, checked as far as the model does not."""
    for name in _REFUSED:
        if parameters.get(name):
            raise InvalidParameterValueException(f"This version of duestream does not take {name} for a mapping.")
    service = (source_arn.split(":") + [""] * 3)[2]
    if service not in ("dynamodb", "sqs"):
        raise InvalidParameterValueException(
            f"Unrecognized event source, must be a DynamoDB stream or an SQS queue here: {source_arn}"
        )
    own, others = (_OF_QUEUES, _OF_STREAMS) if service == "sqs" else (_OF_STREAMS, _OF_QUEUES)
    if foreign := [name for name in others if parameters.get(name)]:
        raise InvalidParameterValueException(f"{foreign[0]} is not supported for the event source type of {source_arn}")
    kept = {name: parameters[name] for name in (*_COMMON, *own) if name in parameters}
    window = kept.get("MaximumBatchingWindowInSeconds", 0)
    if service == "sqs" and kept.get("BatchSize", 0) > MAX_BATCH_WITHOUT_WINDOW and not window:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    for criterion in kept.get("FilterCriteria", {}).get("Filters", []):
        try:
            EventPattern(criterion.get("Pattern", ""))
        except EventPatternError as error:
            raise InvalidParameterValueException("Invalid filter pattern definition.") from error
    return kept


def _start(connection: apsw.Connection, source_arn: str, parameters: Mapping[str, Any]) -> int | None:
    """Check the source; of a stream, the record after which to begin."""
    if source_arn.split(":")[2] == "sqs":
        if queues.get_queue(connection, queues.queue_name_of(source_arn)) is None:
            raise InvalidParameterValueException(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            )
        if parameters.get("StartingPosition"):
            raise InvalidParameterValueException(f"Unsupported starting position for arn type: {source_arn}")
        return None
    kind = parameters.get("StartingPosition")
    if kind is None:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    if kind not in ("TRIM_HORIZON", "LATEST"):
        raise InvalidParameterValueException(f"Unsupported starting position for arn type: {source_arn}")
    table_name, _, label = source_arn.partition(":table/")[2].partition("/stream/")
    stream = streams.find_stream(connection, table_name, label)
    if stream is None:
        raise InvalidParameterValueException(f"Stream not found: {source_arn}")
    return stream.trimmed_sequence if kind == "TRIM_HORIZON" else streams.last_sequence(connection)


def _check_on_failure(context: RequestContext, connection: apsw.Connection, configuration: Mapping[str, Any]) -> None:
    arn = configuration.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    check_destination(context, connection, arn, OF_MAPPINGS)


def _shown(mapping: EventSourceMapping, state: str) -> dict[str, Any]:
    defaults: Mapping[str, Any] = _QUEUE_DEFAULTS if mapping.reads_queue else _STREAM_DEFAULTS
    answer = {
        "UUID": mapping.uuid,
        **defaults,
        **mapping.configuration,
        "EventSourceArn": mapping.source_arn,
        "FunctionArn": mapping.function_arn,
        "EventSourceMappingArn": mapping.arn,
        "LastModified": from_ms(mapping.last_modified_at_ms),
        "State": state,
        "StateTransitionReason": "USER_INITIATED" if mapping.reads_queue else "User action",
    }
    return answer if mapping.reads_queue else {**answer, "LastProcessingResult": mapping.last_result}
