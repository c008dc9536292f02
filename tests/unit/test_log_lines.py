"""Every line that is logged says which action it is of, and its text is the same each time."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import duestream

SOURCE = Path(duestream.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
#: Says the other two facts of a mapping too; its first argument is the action.
FACTS = "_facts"


def log_calls(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Calls of a module's `logger`, each with the function that it is in."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "logger"
                    and node.func.attr in LEVELS
                ):
                    yield function, node


def names_an_action(expression: ast.expr | None, function: ast.AST) -> bool:
    match expression:
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and key.value == "action" for key in keys)
        case ast.BinOp(left=left):
            return names_an_action(left, function)
        case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant()]):
            return name == FACTS
        case ast.Name(id=name):
            made = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            ]
            return bool(made) and all(names_an_action(one, function) for one in made)
        case _:
            return False


@pytest.mark.parametrize(
    "path", [path for path in sorted(SOURCE.rglob("*.py")) if "logger." in path.read_text()], ids=lambda path: path.stem
)
def test_every_log_line_names_its_action_and_has_a_fixed_text(path: Path) -> None:
    for function, call in log_calls(ast.parse(path.read_text())):
        said = f"line {call.lineno}: {ast.unparse(call)}"
        extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
        assert names_an_action(extra, function), said
        assert isinstance(call.args[0], ast.Constant), said
