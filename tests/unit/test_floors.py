"""The house holds: imports only go down, rooms and functions stay small, the core needs nothing but the library."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "duestream"
SOURCE = Path(__file__).parents[2] / "src" / PACKAGE
MODULES = sorted(SOURCE.rglob("*.py"))

#: Floor of each room: the longest beginning counts. Rooms of one floor may not import each other.
FLOORS = {
    "errors.py": 0,
    "alarm.py": 0,
    "clock.py": 0,
    "version.py": 0,
    "core": 1,
    "local/wire": 2,
    "local/store": 2,
    "local/services": 3,
    "local/engine": 3,
    "local": 4,
    "aws": 4,
    "console": 4,
    "cli": 5,
    "pytest_plugin.py": 5,
    "__main__.py": 5,
    # The public names: they come from the core.
    "__init__.py": 2,
}
MAX_MODULE_LINES = 600
MAX_FUNCTION_LINES = 70


def room_of(path: Path) -> str:
    """The entry of FLOORS that a module is under."""
    parts = path.relative_to(SOURCE).parts
    for length in range(len(parts), 0, -1):
        if (room := "/".join(parts[:length])) in FLOORS:
            return room
    raise AssertionError(f"{path} is in no room of FLOORS")


def imports_of(path: Path) -> Iterator[Path]:
    """The modules of ours that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                yield from module_files(f"{node.module}.{alias.name}", str(node.module))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from module_files(alias.name)


def module_files(*names: str) -> Iterator[Path]:
    """The file of the first name that is a module of ours."""
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        path = SOURCE.joinpath(*parts[1:])
        if path.with_suffix(".py").is_file() and len(parts) > 1:
            yield path.with_suffix(".py")
            return
        if (path / "__init__.py").is_file():
            yield path / "__init__.py"
            return


def may_import(importer: Path, imported: Path) -> bool:
    """Down, or within the room."""
    here, there = room_of(importer), room_of(imported)
    if here == there:
        return True
    if imported == SOURCE / "__init__.py":
        return FLOORS[here] >= 4  # the public names are for users and for the floors that play one
    return FLOORS[there] < FLOORS[here] or (FLOORS[here] == FLOORS[there] == 0)


def test_every_module_is_in_a_room() -> None:
    assert len(MODULES) > 20
    for path in MODULES:
        room_of(path)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_go_down(path: Path) -> None:
    wrong = [str(found.relative_to(SOURCE)) for found in imports_of(path) if not may_import(path, found)]
    assert wrong == []


def test_a_room_has_no_cycles() -> None:
    graph = {path: {found for found in imports_of(path) if found != path} for path in MODULES}
    while leaves := {path for path, needs in graph.items() if not needs & graph.keys()}:
        for leaf in leaves:
            del graph[leaf]
    assert {str(path.relative_to(SOURCE)) for path in graph} == set()


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room_of(path) == "core"],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_the_core_needs_only_the_standard_library(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {PACKAGE}
    impure = {"asyncio", "socket", "sqlite3", "subprocess", "threading", "time", "random"}
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Attribute):  # paths may be named, for where a rule stands; nothing may be opened
            assert node.attr not in ("environ", "getenv", "open", "read_text", "read_bytes", "write_text"), node.lineno
    assert found - allowed == set()
    assert found & impure == set(), "values in, values out: no I/O, no clock, no environment"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_MODULE_LINES
    long = {
        f"{node.name} has {lines} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == set()
