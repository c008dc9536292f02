"""What the stream function's handler needs to be imported: nothing but the library, boto3 and ourselves."""

import json
import subprocess
import sys

CODE = """
import json, sys
import boto3
before = set(sys.modules)
import duestream.aws.handler
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_handler_imports_nothing_that_lambda_lacks_and_no_asyncio() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    added = json.loads(ran.stdout)
    foreign = {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names) - {"duestream"}
    assert {name for name in foreign if not name.startswith("_sysconfigdata")} == set()
    assert "asyncio" not in added, "its import would cost as much as ours"
    assert not [name for name in added if name.startswith(("duestream.local", "duestream.cli", "duestream.aws.stack"))]
