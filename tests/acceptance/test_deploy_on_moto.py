"""A stack on moto's server, which others wrote: made, looked at, changed, and taken away without a trace.

What moto lacks, so that it is not shown here: its CloudFormation passes over schedule groups, queue policies, alarms
and functions' asynchronous settings, and its Lambda needs Docker, so no item is followed.
"""

from pathlib import Path

import pytest
from tests.acceptance.conftest import EXAMPLES
from tests.acceptance.elsewhere import RUNTIME, moto_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

APP = str(EXAMPLES / "appointments.py")
SET = ("--set", f"runtime={RUNTIME}")


def test_a_stack_comes_and_goes_on_moto(tmp_path: Path) -> None:
    with moto_in(tmp_path) as moto:
        before = moto.everything()
        planned = moto.json("plan", APP, *SET)
        assert planned["ok"]
        assert len(planned["changes"]) >= 16
        assert moto.everything() == before

        deployed = moto.json("deploy", APP, *SET, "--yes")
        assert deployed["result"] == "deployed"
        there = moto.everything()
        assert there["tables"] == ["Appointment-Table", "clinic-deliveries"]
        assert sorted(there["functions"]) == ["clinic-stream", "clinic-when-due"]
        assert sorted(there["queues"]) == ["clinic-dead-letters", "clinic-stream-dead-letters"]
        assert len(there["mappings"]) == 1
        assert len(there["roles"]) == 3
        assert there["buckets"] == ["duestream-123456789012-us-east-1"]
        s3, (bucket,) = moto.client("s3"), there["buckets"]
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}

        again = moto.json("deploy", APP, *SET, "--yes")
        assert again["result"] == "unchanged"
        status = moto.json("status", APP)
        assert [mapping["table"] for mapping in status["mappings"]] == ["Appointment-Table"]
        assert status["dead_letters"] == {"clinic-dead-letters": 0, "clinic-stream-dead-letters": 0}
        changed = moto.json("deploy", APP, *SET, "--set", "memory_mb=512", "--yes")
        assert {change["action"] for change in changed["changes"]} == {"Modify"}
        functions = moto.client("lambda").list_functions()["Functions"]
        assert {function["MemorySize"] for function in functions} == {512}

        assert moto.json("destroy", APP, "--yes", "--delete-tables")["left"] == []
        assert moto.everything() == before
