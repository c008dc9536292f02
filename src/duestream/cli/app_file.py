"""Rule files: Python files of the user's that declare an app. Every mistake in one says where and what to do."""

import hashlib
import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import duestream
from duestream.core.app import App
from duestream.errors import RuleError

EXAMPLE = """\
from duestream import App, DeleteItem

app = App("shop")
offers = app.table("Offers", partition_key="id")
offers.rule("EXPIRES_AT", DeleteItem())"""


@dataclass(frozen=True, slots=True)
class AppFile:
    """An app, and where it was found.

    Args:
        app: the app.
        path: the rule file.
        name: the app's name in that file.
    """

    app: App
    path: Path
    name: str


def load_app(named: str) -> App:
    """The app that a rule file declares; see `load_app_file`."""
    return load_app_file(named).app


def load_app_file(named: str) -> AppFile:
    """The app that a rule file declares, and where it stands there.

    The file's folder comes first on the path while it is loaded, as for a script, so that it can import its
    neighbours; afterwards it stays at the end, where functions that import later still find them and nothing of
    ours is shadowed.

    Args:
        named: the file's path; ``path:name`` for one of several apps in it.

    Raises:
        RuleError: whatever is wrong with the file, with its line and a remedy.
    """
    path, name = _split(named)
    _check_path(path, named)
    apps = _apps_in(_load(path.resolve()))
    if name is not None:
        return AppFile(_named(apps, path, name), path, name)
    different = {id(app): app for app in apps.values()}
    if not different:
        raise RuleError(f"there is no App in {path}", remedy=f"Declare one, for example:\n\n{EXAMPLE}")
    if len(different) > 1:
        choices = ", ".join(f"{path}:{name}" for name in apps)
        raise RuleError(f"{path} has {len(different)} apps", remedy=f"Say which one: {choices}.")
    first, app = next(iter(apps.items()))
    return AppFile(app, path, first)


def _split(named: str) -> tuple[Path, str | None]:
    before, colon, name = named.rpartition(":")
    if colon and name.isidentifier() and not Path(named).exists():
        return Path(before), name
    return Path(named), None


def _check_path(path: Path, named: str) -> None:
    if path.is_file():
        return
    if path.is_dir():
        found = sorted(file.name for file in path.glob("*.py"))
        remedy = f"Name a file in it: {', '.join(found[:5])}." if found else "Name a Python file that declares an App."
        raise RuleError(f"{named} is a folder, not a rule file", remedy=remedy)
    with_suffix = path.with_name(f"{path.name}.py") if path.name else path
    remedy = f"Did you mean {with_suffix}?" if with_suffix.is_file() else "Name a Python file that declares an App."
    raise RuleError(f"there is no file {path}", remedy=remedy)


def _load(path: Path) -> ModuleType:
    # Private, so that it takes the place of no module; its own, so that two files of one name do not meet.
    name = f"_duestream_rules_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_loader(name, path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    sys.path.insert(0, folder)
    try:
        with redirect_stdout(sys.stderr):  # stdout is ours, and may be read by a program
            spec.loader.exec_module(module)
    except RuleError:
        raise
    except SyntaxError as error:
        raise _syntax_problem(error, path) from error
    except ImportError as error:
        raise _import_problem(error, path) from error
    except (Exception, SystemExit) as error:
        raise _other_problem(error, path) from error
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
    return module


def _loader(name: str, path: Path) -> importlib.machinery.SourceFileLoader:
    """A loader that takes any file's name; without one, only ``.py`` files would be taken."""
    return importlib.machinery.SourceFileLoader(name, str(path))


def _apps_in(module: ModuleType) -> Mapping[str, App]:
    return {name: value for name, value in vars(module).items() if isinstance(value, App)}


def _named(apps: Mapping[str, App], path: Path, name: str) -> App:
    if name not in apps:
        there = ", ".join(apps) or "none"
        raise RuleError(f"there is no App called {name!r} in {path}", remedy=f"Its apps are: {there}.")
    return apps[name]


def _syntax_problem(error: SyntaxError, path: Path) -> RuleError:
    location = f"{error.filename or path}:{error.lineno or 1}"
    line = f" in: {error.text.strip()}" if error.text else ""
    return RuleError(f"{error.msg}{line}", remedy="Python cannot read this line; correct it.", location=location)


def _import_problem(error: ImportError, path: Path) -> RuleError:
    location = _location(error, path)
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        remedy = (
            f"Install the package that has it into the Python that runs duestream ({sys.executable} -m pip install "
            f"{package}), or, if it is a file of yours, put it beside {path.name}."
        )
        return RuleError(f"there is no module {error.name!r}", remedy=remedy, location=location)
    remedy = "Import a name that the module has."
    if error.name == "duestream":
        remedy = f"duestream has {', '.join(duestream.__all__)}."
    return RuleError(str(error), remedy=remedy, location=location)


def _other_problem(error: BaseException, path: Path) -> RuleError:
    location = _location(error, path)
    if isinstance(error, SystemExit):
        remedy = 'A rule file only declares; put what it runs under `if __name__ == "__main__":`.'
        return RuleError("the file ends the program while it is read", remedy=remedy, location=location)
    text = str(error).rstrip(".")
    problem = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return RuleError(problem, remedy="It was raised while the file was read; correct that line.", location=location)


def _location(error: BaseException, path: Path) -> str:
    """The innermost line of the user's: in the file itself, or in a file beside or below it."""
    frames = traceback.extract_tb(error.__traceback__)
    in_file = [frame for frame in frames if frame.filename == str(path)]
    near = [frame for frame in frames if _is_users(Path(frame.filename), path.parent)]
    chosen = near or in_file
    return f"{chosen[-1].filename}:{chosen[-1].lineno}" if chosen else str(path)


def _is_users(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and "site-packages" not in file.parts and file.suffix == ".py" and file.is_file()
