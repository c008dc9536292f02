"""The bundle: small, the same for the same contents, and complete."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.unit.aws.stack.apps import EXAMPLES

from duestream.aws.stack.bundle import bundle, module_of
from duestream.errors import RuleError, SettingsError

RULES = "from duestream import App\n\napp = App('clinic')\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__in__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".py").write_text(text)


def names_in(packed: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


def users_in(packed: bytes) -> set[str]:
    return {name for name in names_in(packed) if not name.startswith("duestream/")}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_bundle_is_under_300_kb(example: Path) -> None:
    packed = bundle(example)
    print(f"{example.name}: {len(packed)} bytes")  # noqa: T201 - `pytest -s` shows the size
    assert len(packed) < 300_000
    assert users_in(packed) == {example.name}


def test_the_same_contents_are_the_same_bytes(folder: Path) -> None:
    first = bundle(folder / "rules.py")
    (folder / "rules.py").touch()
    assert bundle(folder / "rules.py") == first
    (folder / "rules.py").write_text(RULES + "# changed\n")
    assert bundle(folder / "rules.py") != first


def test_what_only_builds_and_tends_the_stack_stays_at_home(folder: Path) -> None:
    ours = names_in(bundle(folder / "rules.py"))
    assert {"duestream/__init__.py", "duestream/core/planner.py", "duestream/aws/handler.py"} <= ours
    assert not {name for name in ours if name.startswith(("duestream/local", "duestream/cli", "duestream/aws/stack"))}
    assert not {name for name in ours if name.startswith("duestream/aws/upkeep") or not name.endswith(".py")}


def test_neighbours_that_are_imported_come_along(folder: Path) -> None:
    (folder / "rules.py").write_text(f"import texts\nfrom people.names import name\n{RULES}")
    write(folder, texts="def later():\n    import wording\n", wording="", unused="", people__in__names="")
    (folder / "people" / "names.json").write_text("{}")
    assert users_in(bundle(folder / "rules.py")) == {
        "rules.py",
        "texts.py",
        "wording.py",
        "people/names.py",
        "people/names.json",
    }


def test_a_bundle_is_all_that_python_needs(folder: Path, tmp_path: Path) -> None:
    (folder / "rules.py").write_text(f"from people import name\n{RULES}print(name)\n")
    write(folder, people__in____init__="from people.names import name\n", people__in__names="name = 'Ada'\n")
    there = tmp_path / "there"
    with zipfile.ZipFile(io.BytesIO(bundle(folder / "rules.py"))) as archive:
        archive.extractall(there)
    program = (
        "import sys; sys.path.insert(0, '.'); import duestream, rules; from duestream.aws import handler, due\n"
        "print(duestream.__file__)"
    )
    # -P: nothing of the folder where this test runs; site-packages are there for boto3, but what is found here is first.
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=there, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["Ada", str(there / "duestream" / "__init__.py")]


def test_what_lambda_would_not_find_is_refused_with_its_line_and_the_remedy(folder: Path) -> None:
    (folder / "rules.py").write_text(f"{RULES}import pendulum\n")
    with pytest.raises(RuleError) as caught:
        bundle(folder / "rules.py")
    assert str(caught.value).startswith(f"{folder / 'rules.py'}:4: it imports 'pendulum', which Lambda's Python does")
    assert "pip install --target packages pendulum" in str(caught.value)


def test_a_neighbours_import_is_looked_at_too(folder: Path) -> None:
    (folder / "rules.py").write_text(f"import texts\n{RULES}")
    write(folder, texts="\nimport pendulum\n")
    with pytest.raises(RuleError, match=r"texts\.py:2: it imports 'pendulum'"):
        bundle(folder / "rules.py")


@pytest.mark.parametrize(
    "line",
    [
        "import json, zoneinfo, boto3, botocore.config, urllib3, dateutil",
        "try:\n    import pendulum\nexcept ImportError:\n    pendulum = None",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pendulum",
        "from duestream.core.schedule import Retry",
    ],
)
def test_what_lambda_finds_or_does_not_need_is_not_refused(folder: Path, line: str) -> None:
    (folder / "rules.py").write_text(f"{RULES}{line}\n")
    assert users_in(bundle(folder / "rules.py")) == {"rules.py"}


def test_a_neighbour_that_may_be_missing_comes_along_if_it_is_there(folder: Path) -> None:
    (folder / "rules.py").write_text(f"{RULES}try:\n    import texts\nexcept ImportError:\n    texts = None\n")
    write(folder, texts="")
    assert users_in(bundle(folder / "rules.py")) == {"rules.py", "texts.py"}


def test_packages_come_from_an_included_folder_or_a_layer(folder: Path, tmp_path: Path) -> None:
    (folder / "rules.py").write_text(f"{RULES}import pendulum\n")
    packages = tmp_path / "packages"
    (packages / "pendulum" / "__pycache__").mkdir(parents=True)
    (packages / "pendulum" / "__init__.py").write_text("")
    (packages / "pendulum" / "__pycache__" / "__init__.cpython-313.pyc").write_bytes(b"")
    packed = bundle(folder / "rules.py", include=[packages])
    assert users_in(packed) == {"rules.py", "pendulum/__init__.py"}
    assert users_in(bundle(folder / "rules.py", has_layers=True)) == {"rules.py"}
    with pytest.raises(SettingsError, match="there is no folder"):
        bundle(folder / "rules.py", include=[tmp_path / "nowhere"])


def test_nothing_hidden_goes_along(folder: Path, tmp_path: Path) -> None:
    (folder / "rules.py").write_text(f"import people\nimport parcels\n{RULES}")
    write(folder, people__in____init__="", parcels__in____init__="")
    for hidden in (".env", "people/.env", "people/.git/config", "parcels/.aws/credentials", "parcels/.libs/needed.so"):
        (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
        (folder / hidden).write_text("secret")
    packages = tmp_path / "packages"
    for hidden in ("a/.netrc", ".ssh/id_ed25519", "node_modules/a/b.js", "a/data.json", "a/.libs/needed.so"):
        (packages / hidden).parent.mkdir(parents=True, exist_ok=True)
        (packages / hidden).write_text("secret")
    assert users_in(bundle(folder / "rules.py", include=[packages])) == {
        "rules.py",
        "people/__init__.py",
        "parcels/__init__.py",
        "parcels/.libs/needed.so",
        "a/data.json",
        "a/.libs/needed.so",
    }


def test_what_serves_the_local_engine_cannot_be_imported(folder: Path) -> None:
    (folder / "rules.py").write_text(f"{RULES}from duestream.local.server import Server\n")
    with pytest.raises(
        RuleError, match=r"rules\.py:4: it imports 'duestream\.local\.server', which is not in a bundle"
    ):
        bundle(folder / "rules.py")


@pytest.mark.parametrize("name", ["my-rules.py", "rules.v2.py", "rules"])
def test_a_file_that_cannot_be_imported_under_its_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuleError, match="cannot be imported under its name"):
        module_of(tmp_path / name)


@pytest.mark.parametrize("name", ["calendar.py", "boto3.py", "duestream.py"])
def test_a_file_that_hides_a_module_of_the_runtime_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuleError, match="would take the place of the module"):
        module_of(tmp_path / name)


def test_a_file_that_python_cannot_read_is_refused(folder: Path) -> None:
    (folder / "rules.py").write_text(f"import texts\n{RULES}")
    write(folder, texts="def (:\n")
    with pytest.raises(RuleError, match=r"texts\.py:1: Python cannot read it"):
        bundle(folder / "rules.py")
