"""Lambda: functions, their invocation, and event source mappings. The engine runs them (`context.functions`)."""

from duestream.local.services.context import Operation
from duestream.local.services.lambda_ import functions, invocation, invoke_config, mappings, permissions

__all__ = ["OPERATIONS"]

OPERATIONS: dict[str, Operation] = {
    "CreateFunction": functions.create_function,
    "GetFunction": functions.get_function,
    "GetFunctionConfiguration": functions.get_function_configuration,
    "ListFunctions": functions.list_functions,
    "UpdateFunctionCode": functions.update_function_code,
    "UpdateFunctionConfiguration": functions.update_function_configuration,
    "DeleteFunction": functions.delete_function,
    "PutFunctionConcurrency": functions.put_function_concurrency,
    "Invoke": invocation.invoke,
    "AddPermission": permissions.add_permission,
    "RemovePermission": permissions.remove_permission,
    "GetPolicy": permissions.get_policy,
    "ListTags": permissions.list_tags,
    "TagResource": permissions.tag_resource,
    "UntagResource": permissions.untag_resource,
    "PutFunctionEventInvokeConfig": invoke_config.put_function_event_invoke_config,
    "UpdateFunctionEventInvokeConfig": invoke_config.update_function_event_invoke_config,
    "GetFunctionEventInvokeConfig": invoke_config.get_function_event_invoke_config,
    "DeleteFunctionEventInvokeConfig": invoke_config.delete_function_event_invoke_config,
    "CreateEventSourceMapping": mappings.create_event_source_mapping,
    "GetEventSourceMapping": mappings.get_event_source_mapping,
    "ListEventSourceMappings": mappings.list_event_source_mappings,
    "UpdateEventSourceMapping": mappings.update_event_source_mapping,
    "DeleteEventSourceMapping": mappings.delete_event_source_mapping,
}
