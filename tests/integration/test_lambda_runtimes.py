"""Handlers in each runtime: Python with and without AWS's client, Node.js, and a bootstrap of one's own."""

import json
import shutil
import sys
from typing import Any

import pytest
from tests.integration.conftest import RunningServer
from tests.integration.lambda_code import zipped

pytestmark = pytest.mark.slow
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PYTHON_CODE = """
import sys
from decimal import Decimal

def handler(event, context):
    match event:
        case "client":
            return "awslambdaric.bootstrap" in sys.modules
        case "raise":
            raise KeyError("missing")
        case "decimal":
            return Decimal("1.5")
        case "set":
            return {1}
        case "exit":
            sys.exit(4)
        case "path":
            return sys.path[0].rpartition("/")[2].startswith("f-")
    return [event, context.function_name, context.log_group_name, context.get_remaining_time_in_millis() > 0]
"""
ES_MODULE = """
export const handler = async (event, context) => {
  console.log("told", event);
  switch (event) {
    case "raise": throw new TypeError("no such thing");
    case "reject": Promise.reject(new Error("nobody waits")); return new Promise(() => setTimeout(() => {}, 60000));
    case "exit": process.exit(7);
    case "hang": return new Promise(() => setTimeout(() => {}, 600000));
    case "undefined": return undefined;
  }
  return [event, context.functionName, context.logGroupName, context.getRemainingTimeInMillis() > 0];
};
"""
COMMON_JS = """
exports.nested = { handler: (event, context, callback) => {
  if (event === "never") return;
  setTimeout(() => callback(event === "fail" ? new Error("it failed") : null, [event, context.functionName]), 1);
} };
"""
BOOTSTRAP = f"""#!{sys.executable}
import http.client, os
host, _, token = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
while True:
    connection = http.client.HTTPConnection(host)
    connection.request("GET", "/" + token + "/2018-06-01/runtime/invocation/next")
    answer = connection.getresponse()
    request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    connection.request("POST", f"/{{token}}/2018-06-01/runtime/invocation/{{request_id}}/response", answer.read())
    connection.getresponse().read()
"""


class Function:
    """A function `f`, to be called with events."""

    def __init__(self, server: RunningServer, runtime: str, handler: str = "app.handler", **files: str) -> None:
        self.client = server.client("lambda")
        self.client.create_function(
            FunctionName="f",
            Runtime=runtime,
            Handler=handler,
            Role="arn:aws:iam::000000000000:role/any",
            Timeout=20,
            Code={"ZipFile": zipped(**files)},
        )

    def __call__(self, event: object) -> Any:
        return json.loads(self.client.invoke(FunctionName="f", Payload=json.dumps(event))["Payload"].read())


@pytest.mark.parametrize(
    "has_client",
    [
        pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="its wheels are for Linux")),
        False,
    ],
)
def test_python_runs_with_aws_client_and_without(server: RunningServer, has_client: bool) -> None:
    others = {} if has_client else {"awslambdaric_py": "raise ImportError('as if it were not installed')"}
    function = Function(server, PYTHON, app_py=PYTHON_CODE, **others)
    assert function("client") is has_client
    assert function({"ä": 1}) == [{"ä": 1}, "f", "/aws/lambda/f", True]
    error = function("raise")
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'missing'")
    assert "in handler" in "".join(error["stackTrace"])
    assert function("decimal") == 1.5
    assert function("set")["errorType"] == "Runtime.MarshalError"
    assert function("exit")["errorMessage"].endswith("exit status 4")
    assert function("path") is True


@pytest.mark.parametrize("has_client", [True, False])
@pytest.mark.parametrize(
    ("handler", "code", "kind"),
    [
        ("app.missing", "x = 1", "Runtime.HandlerNotFound"),
        ("other.handler", "x = 1", "Runtime.ImportModuleError"),
        ("handler", "x = 1", "Runtime.MalformedHandlerName"),
        ("app.handler", "x = = 1", "Runtime.UserCodeSyntaxError"),
        ("app.handler", "1 / 0", "ZeroDivisionError"),
    ],
)
def test_python_that_cannot_be_loaded(
    server: RunningServer, has_client: bool, handler: str, code: str, kind: str
) -> None:
    others = {} if has_client else {"awslambdaric_py": "raise ImportError('as if it were not installed')"}
    assert Function(server, PYTHON, handler, app_py=code, **others)({})["errorType"] == kind


@needs_node
def test_a_node_handler_as_a_module(server: RunningServer) -> None:
    function = Function(server, "nodejs20.x", app_mjs=ES_MODULE)
    assert function({"ä": 1}) == [{"ä": 1}, "f", "/aws/lambda/f", True]
    error = function("raise")
    assert (error["errorType"], error["errorMessage"]) == ("TypeError", "no such thing")
    assert function("undefined") is None
    error = function("reject")
    assert (error["errorType"], error["errorMessage"]) == ("Runtime.UnhandledPromiseRejection", "nobody waits")
    assert function("exit")["errorMessage"].endswith("exit status 7")
    function.client.update_function_configuration(FunctionName="f", Timeout=1)
    assert function("hang")["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert function("again")[0] == "again"


@needs_node
def test_a_node_handler_in_common_js_with_a_callback(server: RunningServer) -> None:
    function = Function(server, "nodejs22.x", "app.nested.handler", app_js=COMMON_JS)
    assert function("a") == ["a", "f"]
    assert function("fail")["errorMessage"] == "it failed"
    assert function("never") is None


@needs_node
@pytest.mark.parametrize(
    ("handler", "code", "kind"),
    [
        ("app.missing", "export const x = 1;", "Runtime.HandlerNotFound"),
        ("other.handler", "export const x = 1;", "Runtime.ImportModuleError"),
        ("app.handler", "import 'not-installed';", "Runtime.ImportModuleError"),
        ("app.handler", "export const = 1;", "Runtime.UserCodeSyntaxError"),
        ("app.handler", "throw new RangeError('at once');", "RangeError"),
    ],
)
def test_node_that_cannot_be_loaded(server: RunningServer, handler: str, code: str, kind: str) -> None:
    assert Function(server, "nodejs20.x", handler, app_mjs=code)({})["errorType"] == kind


def test_a_bootstrap_of_ones_own(server: RunningServer) -> None:
    function = Function(server, "provided.al2023", _bootstrap=BOOTSTRAP)
    assert function({"a": 1}) == {"a": 1}


def test_a_bootstrap_that_is_not_there_is_said(server: RunningServer) -> None:
    assert Function(server, "provided.al2023", app_py="x = 1")({})["errorType"] == "Runtime.ExitError"
