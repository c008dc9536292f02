"""What is to be deployed: the app, its bundle and its template, and how they fit to what is there already."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from duestream.aws.stack.bucket import Bucket, bundle_key
from duestream.aws.stack.change_set import MAX_INLINE_BYTES, MAX_TEMPLATE_BYTES, template_text
from duestream.aws.stack.found_tables import FoundTable, look_for_table
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import parts_of
from duestream.aws.stack.session import Access, AwsError
from duestream.aws.stack.tables import WatchedTables
from duestream.aws.stack.template import template
from duestream.core.app import App

TABLE_TYPE = "AWS::DynamoDB::Table"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be deployed, before anybody looked at what is there.

    Args:
        app: the app.
        stack_name: of the stack.
        options: as they were chosen; which tables exist is added by `Fitted`.
        bundle: the zip file with the functions' code.
    """

    app: App
    stack_name: str
    options: StackOptions
    bundle: bytes


@dataclass(frozen=True, slots=True)
class Fitted:
    """A draft, and the tables that are there.

    Args:
        draft: what is to be deployed.
        tables: each of the app's, as it was found.
    """

    draft: Draft
    tables: tuple[FoundTable, ...]

    @property
    def without_stream(self) -> tuple[str, ...]:
        """Existing tables whose stream rules need, and that is off. (The stack sees to its own tables.)"""
        streamed = parts_of(self.draft.app).streamed_tables
        return tuple(
            table.name
            for table in self.tables
            if table.state == "existing" and table.stream_arn is None and not table.problem and table.name in streamed
        )

    @property
    def existing(self) -> frozenset[str]:
        """Tables that are there and are not the stack's: it leaves them alone, and reads their streams."""
        return frozenset(table.name for table in self.tables if table.state == "existing")

    @property
    def options(self) -> StackOptions:
        """The options, with the tables that exist."""
        return replace(self.draft.options, existing_tables=self.existing)

    def template(self) -> dict[str, Any]:
        """The template."""
        return template(self.draft.app, self.options)

    def text(self) -> str:
        """The template as it is sent.

        Raises:
            AwsError: CloudFormation takes none so large.
        """
        text = template_text(self.template())
        size_bytes = len(text.encode())
        if size_bytes > MAX_TEMPLATE_BYTES:
            raise AwsError(
                f"the template has {size_bytes} bytes, and CloudFormation takes {MAX_TEMPLATE_BYTES}",
                remedy="Split the rules into two apps.",
            )
        return text

    def is_inline(self) -> bool:
        """Whether the template goes with the request; else it goes through the bucket."""
        return len(self.text().encode()) <= MAX_INLINE_BYTES

    def parameters(self, bucket: Bucket, streams: Mapping[str, str]) -> dict[str, str]:
        """The template's parameters: those it declares, and no others.

        Args:
            bucket: where the bundle lies, or is going to.
            streams: existing table to its stream's ARN.
        """
        watched = WatchedTables(parts_of(self.draft.app), self.options)
        values = {
            "BundleBucket": bucket.name,
            "BundleKey": bundle_key(self.draft.stack_name, self.draft.bundle),
            **{watched.stream_parameter(name): arn for name, arn in streams.items()},
        }
        declared = self.template().get("Parameters", {})
        return {name: value for name, value in values.items() if name in declared}


def fit(access: Access, draft: Draft, resources: Mapping[str, str]) -> Fitted:
    """Look at the app's tables.

    Args:
        resources: physical name of each of the stack's resources to its type.
    """
    in_stack = {name for name, kind in resources.items() if kind == TABLE_TYPE}
    dynamodb = access.client("dynamodb")
    return Fitted(draft, tuple(look_for_table(dynamodb, table, in_stack) for table in draft.app.tables))


def stack_resources(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """The stack's resources that are there: physical name to type."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    return {
        shown["PhysicalResourceId"]: shown["ResourceType"]
        for page in pages
        for shown in page["StackResourceSummaries"]
        if shown.get("PhysicalResourceId") and shown["ResourceStatus"] != "DELETE_COMPLETE"
    }
