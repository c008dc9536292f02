"""The bundle: a zip file with what the functions run, the same bytes for the same contents.

In it are this package's core and what runs in Lambda, the user's rule file at the root, and what that imports from
beside it. Lambda's runtime has the standard library and boto3; anything else comes in a layer, or from a folder that
is put in whole.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from duestream.aws.stack.imports import Neighbours, files_in, refuse_name
from duestream.errors import RuleError, SettingsError

#: Zip files know no time before; a fixed one makes the same contents the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3
#: Lambda's: an uncompressed bundle with its layers ("Lambda quotas").
MAX_UNPACKED_BYTES = 250 * 1024 * 1024
_PACKAGE = Path(__file__).parents[2]
#: Of our own package: what the functions import. What only builds and tends the stack stays at home.
_OURS = ("__init__.py", "errors.py", "clock.py", "version.py", "core/**/*.py", "aws/*.py")

Files = Mapping[PurePosixPath, bytes]


def bundle(rule_file: Path, *, include: Iterable[Path] = (), has_layers: bool = False) -> bytes:
    """The functions' code as a zip file.

    Args:
        rule_file: the file that declares the app.
        include: folders whose contents are put at the bundle's root, such as one that
            ``pip install --target`` has filled.
        has_layers: there are layers, in which whatever else is imported may be.

    Raises:
        RuleError: something is imported that would not be found in Lambda, or a file has a name that would hide a
            module of the runtime's.
        SettingsError: an included folder cannot be read, or the bundle is too large for Lambda.
    """
    files = _files(rule_file.resolve(), [folder.resolve() for folder in include], has_layers=has_layers)
    size_bytes = sum(map(len, files.values()))
    if size_bytes > MAX_UNPACKED_BYTES:
        raise SettingsError(
            f"the bundle has {size_bytes} bytes unpacked, and Lambda takes {MAX_UNPACKED_BYTES}. "
            "Leave out what no rule needs"
        )
    return _zip(files)


def module_of(rule_file: Path) -> str:
    """The name under which a rule file is imported in Lambda.

    Raises:
        RuleError: it cannot be imported under its name.
    """
    name = rule_file.stem
    if rule_file.suffix != ".py" or not name.isidentifier():
        raise RuleError(
            f"{rule_file.name} cannot be imported under its name, as Lambda must",
            remedy="Name the file with letters, digits and _ only, and .py at its end.",
        )
    refuse_name(rule_file)
    return name


def our_files() -> Files:
    """This package's part of a bundle."""
    paths = {path for pattern in _OURS for path in _PACKAGE.glob(pattern)}
    return {PurePosixPath("duestream", *path.relative_to(_PACKAGE).parts): path.read_bytes() for path in paths}


def _files(rule_file: Path, include: list[Path], *, has_layers: bool) -> Files:
    module_of(rule_file)
    ours = our_files()
    included = {name: content for folder in include for name, content in _contents(folder)}
    neighbours = Neighbours(
        rule_file.parent,
        ours={str(name.with_suffix("")).replace("/", ".").removesuffix(".__init__") for name in ours},
        included={name.parts[0].partition(".")[0] for name in included},
        takes_others=has_layers,
    )
    users = {
        PurePosixPath(*path.relative_to(rule_file.parent).parts): path.read_bytes()
        for path in neighbours.needed_by(rule_file)
    }
    return {**included, **users, **ours}


def _contents(folder: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder} to include")
    for path in files_in(folder):
        yield PurePosixPath(*path.relative_to(folder).parts), path.read_bytes()


def _zip(files: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files, key=str):
            entry = zipfile.ZipInfo(str(name), _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _MODE
            entry.create_system = _UNIX
            archive.writestr(entry, files[name])
    return packed.getvalue()
