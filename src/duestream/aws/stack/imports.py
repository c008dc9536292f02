"""What a rule file imports from beside it, and whether Lambda will find the rest. Files are read, never run."""

import ast
import sys
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from duestream.errors import RuleError

#: What the Python runtimes of Lambda have beside the standard library.
RUNTIME_MODULES = frozenset(
    {"awslambdaric", "boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
)
#: Windows only, and so never there.
_MISSING_IN_LAMBDA = frozenset({"msvcrt", "winreg", "winsound", "_winapi"})
_LEFT_OUT = frozenset({"__pycache__", "node_modules"})
_CATCHES = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class _Import:
    """One import in a file: the module's dotted name, and whether the file goes on without it."""

    module: str
    line: int
    is_optional: bool = False


def refuse_name(path: Path) -> None:
    """Refuse a module that would hide one of Python's or of the runtime's: what is in the bundle comes first.

    Raises:
        RuleError: it has such a name.
    """
    name = path.stem if path.suffix == ".py" else path.name
    if name in sys.stdlib_module_names or name in RUNTIME_MODULES or name == "duestream":
        raise RuleError(
            f"{path.name} would take the place of the module {name!r} in Lambda", remedy="Give the file another name."
        )


class Neighbours:
    """The modules beside a rule file.

    Args:
        folder: the rule file's.
        ours: dotted names of the modules of duestream's that are in a bundle.
        included: names that included folders bring.
        takes_others: whatever else is imported may be in a layer.
    """

    def __init__(self, folder: Path, *, ours: AbstractSet[str], included: AbstractSet[str], takes_others: bool) -> None:
        self._folder = folder
        self._ours = ours
        self._elsewhere = (sys.stdlib_module_names - _MISSING_IN_LAMBDA) | RUNTIME_MODULES | included
        self._takes_others = takes_others

    def needed_by(self, rule_file: Path) -> tuple[Path, ...]:
        """The rule file, and the files beside it that it imports, directly or through others; packages whole.

        Raises:
            RuleError: something would not be found in Lambda, with the line that imports it.
        """
        found: dict[Path, None] = {}
        waiting = [rule_file]
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found[path] = None
            if path.suffix != ".py":
                continue
            for one in _imports_of(path):
                waiting += self._files_of(one, path)
        return tuple(found)

    def _files_of(self, imported: _Import, importer: Path) -> Iterable[Path]:
        top = imported.module.partition(".")[0]
        if top == "duestream":
            self._check_ours(imported, importer)
            return ()
        module, package = self._folder / f"{top}.py", self._folder / top
        is_beside = module.is_file() or (package.is_dir() and any(package.rglob("*.py")))
        if is_beside and top not in sys.stdlib_module_names:
            refuse_name(package if package.is_dir() else module)
            # Python prefers a package to a module of the same name, and a module to a folder without __init__.py.
            if (package / "__init__.py").is_file() or not module.is_file():
                return files_in(package)
            return (module,)
        if top in self._elsewhere or self._takes_others or imported.is_optional:
            return ()
        raise RuleError(
            f"it imports {top!r}, which Lambda's Python does not have",
            remedy=f"Put it into the bundle (`pip install --target packages {top}`, then `--include packages`) or into "
            f"a layer (`--layer ARN`); if it is a file of yours, it must be beside {importer.name}.",
            location=f"{importer}:{imported.line}",
        )

    def _check_ours(self, imported: _Import, importer: Path) -> None:
        if imported.module not in self._ours:
            raise RuleError(
                f"it imports {imported.module!r}, which is not in a bundle: it serves the local engine",
                remedy="Import from duestream only what rules are made of.",
                location=f"{importer}:{imported.line}",
            )


def files_in(folder: Path) -> list[Path]:
    """A folder whole, such as a package with its data and what it imports only when it is asked to.

    But for what is hidden (``.env``, ``.git``, ``.aws``: secrets, histories), and what Python makes anew.
    """
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and not any(map(_stays_at_home, path.relative_to(folder).parts))
    ]


def _stays_at_home(name: str) -> bool:
    # Wheels may have their shared libraries in ".libs".
    return name in _LEFT_OUT or (name.startswith(".") and name != ".libs")


def _imports_of(path: Path) -> Iterator[_Import]:
    """Imports that happen when the module runs, or when a function in it does."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise RuleError(
            "Python cannot read it", remedy="Correct it, or move it elsewhere.", location=f"{path}:1"
        ) from error
    yield from _imports_in(tree.body, is_optional=False)


def _imports_in(body: Iterable[ast.AST], *, is_optional: bool) -> Iterator[_Import]:
    for node in body:
        match node:
            case ast.Import(names=names):
                yield from (_Import(alias.name, node.lineno, is_optional) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield _Import(module, node.lineno, is_optional)
            case ast.Try(handlers=handlers) if any(map(_catches_missing, handlers)):
                yield from _imports_in(node.body, is_optional=True)
                yield from _imports_in([*handlers, *node.orelse, *node.finalbody], is_optional=is_optional)
            case ast.If(test=test) if _is_for_type_checkers(test):
                yield from _imports_in(node.orelse, is_optional=is_optional)
            case _:
                yield from _imports_in(ast.iter_child_nodes(node), is_optional=is_optional)


def _catches_missing(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _CATCHES for node in ast.walk(handler.type))


def _is_for_type_checkers(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
