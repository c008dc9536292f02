"""The construct, synthesized by the CDK itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.aws.stack.apps import EXAMPLES

from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.template import template
from duestream.cli.app_file import load_app
from duestream.errors import SettingsError

pytestmark = pytest.mark.slow

APPOINTMENTS = next(path for path in EXAMPLES if path.stem == "appointments")
STREAM = "arn:aws:dynamodb:eu-west-1:111122223333:table/Appointment-Table/stream/2026-11-23T00:00:00.000"


def synth(folder: Path, **arguments: Any) -> dict[str, Any]:
    """What the CDK makes of the example."""
    import aws_cdk

    from duestream.aws.stack.cdk import Duestream

    cdk_app = aws_cdk.App(outdir=str(folder))
    stack = aws_cdk.Stack(cdk_app, "Clinic")
    construct = Duestream(stack, "Reminders", app=load_app(str(APPOINTMENTS)), rule_file=APPOINTMENTS, **arguments)
    stream_function = construct.resource("StreamFunction")
    stream_function.add_property_override("ReservedConcurrentExecutions", 10)
    cdk_app.synth()
    found: dict[str, Any] = json.loads((folder / "Clinic.template.json").read_text())
    return found


def test_the_cdk_makes_the_resources_that_we_deploy(tmp_path: Path) -> None:
    synthesized = synth(tmp_path)["Resources"]
    ours = template(load_app(str(APPOINTMENTS)), StackOptions(entry="appointments:app"))["Resources"]
    assert sorted(one["Type"] for one in synthesized.values()) == sorted(one["Type"] for one in ours.values())
    (stream,) = [one for one in synthesized.values() if one["Properties"].get("FunctionName") == "clinic-stream"]
    assert stream["Properties"]["Code"]["S3Key"].endswith(".zip"), "an asset of the CDK's"
    assert stream["Properties"]["Environment"]["Variables"]["DUESTREAM_APP"] == "appointments:app"
    assert stream["Properties"]["ReservedConcurrentExecutions"] == 10, "resources can be changed from outside"
    (asset,) = tmp_path.glob("asset.*.zip")
    assert asset.read_bytes()[:2] == b"PK"


def test_existing_tables_keep_their_stream(tmp_path: Path) -> None:
    synthesized = synth(tmp_path, existing_streams={"Appointment-Table": STREAM})["Resources"].values()
    (mapping,) = [one for one in synthesized if one["Type"] == "AWS::Lambda::EventSourceMapping"]
    assert mapping["Properties"]["EventSourceArn"] == STREAM
    assert not [one for one in synthesized if one["Properties"].get("TableName") == "Appointment-Table"]


def test_a_table_that_no_rule_watches_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no rule watches a table Other"):
        synth(tmp_path, existing_streams={"Other": STREAM})
