"""The stack as a construct of the AWS CDK, for teams who keep theirs there: ``pip install 'duestream[cdk]'``.

The same template as `duestream deploy` uses is included, so both make the same resources.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    from aws_cdk import CfnResource, aws_s3_assets
    from aws_cdk.cloudformation_include import CfnInclude
    from constructs import Construct
except ImportError as error:
    raise ImportError("duestream.aws.stack.cdk needs the CDK: pip install 'duestream[cdk]'") from error

from duestream.aws.stack.bundle import bundle, module_of
from duestream.aws.stack.functions import BUNDLE_BUCKET, BUNDLE_KEY
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import parts_of
from duestream.aws.stack.tables import WatchedTables
from duestream.aws.stack.template import template
from duestream.core.app import App
from duestream.errors import SettingsError


class Duestream(Construct):
    """An app's functions, schedules, queues, roles, alarms and tables.

    Logical ids are prefixed with the construct's path; physical names are the app's, as in `duestream deploy`.

    Args:
        scope: a stack.
        construct_id: within it.
        app: the rules.
        rule_file: the file that declares them.
        name: the app's name in that file.
        existing_streams: tables that are there already, to the ARN of their stream.
        include: folders put into the bundle.
        options: what may be chosen; `entry` and `existing_tables` are filled in here.

    Raises:
        RuleError: a rule cannot be carried out on AWS, or its file cannot be bundled.
        SettingsError: something that is there already is no table of the app.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        app: App,
        rule_file: str | Path,
        name: str = "app",
        existing_streams: Mapping[str, str] | None = None,
        include: Iterable[str | Path] = (),
        options: StackOptions | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        path, streams = Path(rule_file), existing_streams or {}
        unknown = streams.keys() - {table.name for table in app.tables}
        if unknown:
            raise SettingsError(f"no rule watches a table {', '.join(sorted(unknown))}")
        entry = f"{module_of(path)}:{name}"
        chosen = replace(options or StackOptions(entry=entry), entry=entry, existing_tables=frozenset(streams))
        made = template(app, chosen)
        with TemporaryDirectory() as folder:
            zipped = Path(folder, "bundle.zip")
            zipped.write_bytes(bundle(path, include=map(Path, include), has_layers=bool(chosen.layers)))
            asset = aws_s3_assets.Asset(self, "Bundle", path=str(zipped))
            tables = WatchedTables(parts_of(app), chosen)
            values = {
                BUNDLE_BUCKET: asset.s3_bucket_name,
                BUNDLE_KEY: asset.s3_object_key,
                **{tables.stream_parameter(table): arn for table, arn in streams.items()},
            }
            template_file = Path(folder, "template.json")
            template_file.write_text(json.dumps(made))
            self._included = CfnInclude(
                self,
                "Stack",
                template_file=str(template_file),
                preserve_logical_ids=False,
                parameters={parameter: value for parameter, value in values.items() if parameter in made["Parameters"]},
            )

    def resource(self, logical_id: str) -> CfnResource:
        """One of the stack's resources, by its id in the template: ``StreamFunction``, ``ExecutionRole``, ..."""
        return self._included.get_resource(logical_id)
