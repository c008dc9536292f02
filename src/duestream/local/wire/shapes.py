"""JSON values to parameters and back, compiled from the shapes of a service model.

A reader checks the JSON type of a value and makes the parameter of it: timestamps become aware datetimes, blobs
bytes, unknown and null members are left out (as AWS does). A writer does the opposite. `None` instead of a reader or
writer means: take the value as it is. Attribute values of DynamoDB are never looked into; they stay wire form.

The texts of SerializationException are those of DynamoDB (measured by the authors of dynalite).
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from duestream.local.wire import moments
from duestream.local.wire.refusals import SerializationException

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]

_JAVA_NAMES = {
    "string": "String",
    "character": "String",
    "integer": "Integer",
    "long": "Long",
    "float": "Float",
    "double": "Double",
    "boolean": "Boolean",
    "timestamp": "Timestamp",
}


def is_opaque(shape: Any) -> bool:
    """Attribute values are checked by `core.attributes`, once, and with DynamoDB's texts."""
    return bool(shape.name == "AttributeValue" and shape.type_name == "structure")


class Shapes:
    """Readers and writers of one service, each compiled when it is first asked for.

    Args:
        readers, writers: of the scalar types, where they are not those of JSON.
    """

    def __init__(
        self, readers: Mapping[str, Reader] | None = None, writers: Mapping[str, Writer] | None = None
    ) -> None:
        self._scalar_readers = SCALAR_READERS if readers is None else readers
        self._scalar_writers = _SCALAR_WRITERS if writers is None else writers
        self._readers: dict[str, Reader] = {}
        self._writers: dict[str, Writer | None] = {}
        self._open: set[str] = set()

    def reader(self, shape: Any) -> Reader:
        """A function that takes the JSON value of this shape. It raises SerializationException."""
        if is_opaque(shape):
            return _as_it_is
        if shape.type_name not in ("structure", "list", "map"):
            return self._scalar_readers[shape.type_name]
        name = shape.name
        if name in self._readers:
            return self._readers[name]
        if name in self._open:  # a shape inside itself: looked up when it is needed
            return lambda value: self._readers[name](value)  # noqa: PLW0108 - the reader is not there yet
        self._open.add(name)
        make = {"structure": self._structure_reader, "list": self._list_reader, "map": self._map_reader}
        reader = make[shape.type_name](shape)
        self._open.discard(name)
        self._readers[name] = reader
        return reader

    def _structure_reader(self, shape: Any) -> Reader:
        readers = {name: self.reader(member) for name, member in shape.members.items()}

        def read(value: Any) -> Any:
            if type(value) is not dict:
                raise _unexpected(value, f"class {shape.name}")
            parameters = {}
            for name, given in value.items():
                if given is not None and (reader := readers.get(name)) is not None:
                    parameters[name] = reader(given)
            return parameters

        return read

    def _list_reader(self, shape: Any) -> Reader:
        member = self.reader(shape.member)

        def read(value: Any) -> Any:
            if type(value) is not list:
                raise _unexpected(value, "java.util.List")
            return [member(given) for given in value]

        return read

    def _map_reader(self, shape: Any) -> Reader:
        member = self.reader(shape.value)

        def read(value: Any) -> Any:
            if type(value) is not dict:
                raise _unexpected(value, "java.util.Map")
            if member is _as_it_is:
                return value
            return {key: member(given) for key, given in value.items()}

        return read

    def writer(self, shape: Any) -> Writer | None:
        """A function that makes the JSON value of this shape; None when nothing in it needs making."""
        if is_opaque(shape):
            return None
        if shape.type_name not in ("structure", "list", "map"):
            return self._scalar_writers.get(shape.type_name)
        name = shape.name
        if name in self._writers:
            return self._writers[name]
        if name in self._open:
            return lambda value: writer(value) if (writer := self._writers[name]) is not None else value
        self._open.add(name)
        make = {"structure": self._structure_writer, "list": self._list_writer, "map": self._map_writer}
        writer = make[shape.type_name](shape)
        self._open.discard(name)
        self._writers[name] = writer
        return writer

    def _structure_writer(self, shape: Any) -> Writer:
        writers = {
            name: writer for name, member in shape.members.items() if (writer := self.writer(member)) is not None
        }

        def write(value: Mapping[str, Any]) -> Any:
            return {
                name: writers[name](given) if name in writers else given
                for name, given in value.items()
                if given is not None
            }

        return write

    def _list_writer(self, shape: Any) -> Writer | None:
        member = self.writer(shape.member)
        return None if member is None else lambda value: [member(given) for given in value]

    def _map_writer(self, shape: Any) -> Writer | None:
        member = self.writer(shape.value)
        return None if member is None else lambda value: {key: member(given) for key, given in value.items()}


def _unexpected(value: Any, wanted: str) -> SerializationException:
    if type(value) is list:
        return SerializationException(f"Unrecognized collection type {wanted}")
    if type(value) is dict:
        return SerializationException("Start of structure or map found where not expected.")
    return SerializationException("Unexpected field type")


def _cannot_convert(value: Any, type_name: str) -> SerializationException:
    if isinstance(value, list | dict):
        return _unexpected(value, f"class java.lang.{_JAVA_NAMES[type_name]}")
    if isinstance(value, bool):
        found = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, int):
        found = "NUMBER_VALUE"
    elif isinstance(value, float):
        found = "DECIMAL_VALUE"
    else:
        found = "STRING_VALUE" if isinstance(value, str) else "NULL_VALUE"
    return SerializationException(f"{found} cannot be converted to {_JAVA_NAMES[type_name]}")


def _as_it_is(value: Any) -> Any:
    return value


def _read_string(value: Any) -> Any:
    if type(value) is not str:
        raise _cannot_convert(value, "string")
    return value


def _read_integer(value: Any) -> Any:
    if type(value) is int and -(2**31) <= value < 2**31:
        return value
    return _read_wide(value, "integer", 31)


def _read_long(value: Any) -> Any:
    return _read_wide(value, "long", 63)


def _read_wide(value: Any, type_name: str, bits: int) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _cannot_convert(value, type_name)
    whole = int(value)  # AWS cuts fractions off
    if not -(2**bits) <= whole < 2**bits:
        raise _cannot_convert(value, type_name)
    return whole


def _read_double(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _cannot_convert(value, "double")
    return float(value)


def _read_boolean(value: Any) -> Any:
    if type(value) is not bool:
        raise SerializationException("Unexpected token received from parser")
    return value


def _read_timestamp(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _cannot_convert(value, "timestamp")
    try:
        return moments.from_epoch(value)
    except ValueError:
        raise _cannot_convert(value, "timestamp") from None


def read_blob(value: Any) -> bytes:
    """Base64 text to bytes.

    Raises:
        SerializationException: it is not that.
    """
    if isinstance(value, list | dict):
        raise _unexpected(value, "class java.nio.ByteBuffer")
    if type(value) is not str:
        raise SerializationException("only base-64-encoded strings are convertible to bytes")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise SerializationException(f"'{value[:100]}' can not be converted to a Blob: invalid Base64") from None


def write_blob(value: bytes | str) -> str:
    """Bytes to base64 text. Text is taken as UTF-8 bytes."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")


def write_timestamp(value: datetime | float) -> float | int:
    """JSON protocols write epoch seconds."""
    return moments.to_epoch(value)


SCALAR_READERS: dict[str, Reader] = {
    "string": _read_string,
    "character": _read_string,
    "integer": _read_integer,
    "long": _read_long,
    "float": _read_double,
    "double": _read_double,
    "boolean": _read_boolean,
    "timestamp": _read_timestamp,
    "blob": read_blob,
}
_SCALAR_WRITERS: dict[str, Writer] = {"timestamp": write_timestamp, "blob": write_blob}
