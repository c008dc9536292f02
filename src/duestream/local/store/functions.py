"""Lambda functions, and the asynchronous invocations that were accepted and have not ended."""

import base64
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from duestream.core.invocation import MAX_EVENT_BYTES, MAX_PAYLOAD_BYTES
from duestream.core.schedule import Place
from duestream.local.store.function_errors import InvalidRequestContentException, RequestTooLargeException
from duestream.local.store.writer import InvocationAccepted, Transaction

_ACCEPTED = InvocationAccepted()


@dataclass(frozen=True, slots=True)
class Function:
    """One function, without its code. `configuration` has AWS's members, `runtime` and the like read them."""

    id: int
    name: str
    region: str
    configuration: Mapping[str, Any]
    code_size: int
    code_sha256: str
    revision_id: str
    tags: Mapping[str, str]
    policy: tuple[Mapping[str, Any], ...]
    invoke_config: Mapping[str, Any] | None
    created_at_ms: int
    last_modified_at_ms: int

    @property
    def arn(self) -> str:
        """Its ARN, of the region it was created in, without a version."""
        return Place(region=self.region).arn("lambda", f"function:{self.name}")

    @property
    def runtime(self) -> str:
        """AWS's name of the runtime."""
        return str(self.configuration["Runtime"])

    @property
    def handler(self) -> str:
        """What the runtime calls."""
        return str(self.configuration.get("Handler", ""))

    @property
    def timeout_seconds(self) -> int:
        """How long an invocation may take."""
        return int(self.configuration["Timeout"])

    @property
    def memory_mb(self) -> int:
        """Its memory in MiB."""
        return int(self.configuration["MemorySize"])

    @property
    def variables(self) -> Mapping[str, str]:
        """The user's environment variables."""
        variables: Mapping[str, str] = self.configuration.get("Environment", {}).get("Variables", {})
        return variables


@dataclass(frozen=True, slots=True)
class AcceptedInvocation:
    """An asynchronous invocation that has not ended."""

    id: int
    function_id: int
    request_id: str
    payload: bytes
    client_context: str | None
    accepted_at_ms: int
    #: How many attempts have failed.
    attempts: int


_COLUMNS = """id, name, region, configuration, length(code), code_sha256, revision_id, tags, policy, invoke_config,
    created_at_ms, last_modified_at_ms"""


def _function(row: tuple[Any, ...]) -> Function:
    function_id, name, region, configuration, size, sha256, revision_id, tags, policy, invoke_config, *moments = row
    return Function(
        function_id,
        name,
        region,
        msgspec.json.decode(configuration),
        size,
        sha256,
        revision_id,
        msgspec.json.decode(tags),
        tuple(msgspec.json.decode(policy)) if policy is not None else (),
        None if invoke_config is None else msgspec.json.decode(invoke_config),
        *moments,
    )


def function_name_of(arn: str) -> str:
    """The name in a function's ARN, a part of one, or a name; region and account do not count."""
    parts = arn.split(":")
    return parts[parts.index("function") + 1] if "function" in parts[:-1] else parts[0]


def get_function(connection: apsw.Connection, name: str) -> Function | None:
    """The function of this name."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM lambda_function WHERE name = ?", (name,)).fetchone()
    return None if row is None else _function(row)


def get_function_by_id(connection: apsw.Connection, function_id: int) -> Function | None:
    """The function with this id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM lambda_function WHERE id = ?", (function_id,)).fetchone()
    return None if row is None else _function(row)


def get_code(connection: apsw.Connection, function_id: int) -> bytes | None:
    """The zip file of a function."""
    code: bytes | None = connection.execute("SELECT code FROM lambda_function WHERE id = ?", (function_id,)).get
    return code


def list_functions(connection: apsw.Connection, *, after: str, limit: int) -> list[Function]:
    """Functions whose names come after `after`, by name."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM lambda_function WHERE name > ? ORDER BY name LIMIT ?", (after, limit)
    )
    return [_function(row) for row in rows]


def create_function(
    tx: Transaction,
    name: str,
    *,
    region: str,
    configuration: Mapping[str, Any],
    code: bytes,
    tags: Mapping[str, str],
    now_ms: int,
) -> Function:
    """Create a function that does not exist yet. Everything was checked by the caller."""
    tx.execute(
        "INSERT INTO lambda_function (name, region, configuration, code, code_sha256, revision_id, tags,"
        " created_at_ms, last_modified_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (name, region, _json(configuration), code, code_sha256(code), _revision(), _json(tags), now_ms, now_ms),
    )
    return _again(tx, tx.last_id())


def set_configuration(tx: Transaction, function: Function, configuration: Mapping[str, Any], now_ms: int) -> Function:
    """Replace a function's configuration."""
    tx.execute(
        "UPDATE lambda_function SET configuration = ?, revision_id = ?, last_modified_at_ms = ? WHERE id = ?",
        (_json(configuration), _revision(), now_ms, function.id),
    )
    return _again(tx, function.id)


def set_code(tx: Transaction, function: Function, code: bytes, now_ms: int) -> Function:
    """Replace a function's code."""
    tx.execute(
        "UPDATE lambda_function SET code = ?, code_sha256 = ?, revision_id = ?, last_modified_at_ms = ? WHERE id = ?",
        (code, code_sha256(code), _revision(), now_ms, function.id),
    )
    return _again(tx, function.id)


def set_tags(tx: Transaction, function: Function, tags: Mapping[str, str]) -> None:
    """Replace a function's tags."""
    tx.execute("UPDATE lambda_function SET tags = ? WHERE id = ?", (_json(tags), function.id))


def set_policy(tx: Transaction, function: Function, statements: tuple[Mapping[str, Any], ...]) -> None:
    """Replace the statements of a function's policy."""
    policy = _json(list(statements)) if statements else None
    tx.execute(
        "UPDATE lambda_function SET policy = ?, revision_id = ? WHERE id = ?", (policy, _revision(), function.id)
    )


def set_invoke_config(tx: Transaction, function: Function, invoke_config: Mapping[str, Any] | None) -> None:
    """Replace what is said about a function's asynchronous invocations."""
    value = None if invoke_config is None else _json(invoke_config)
    tx.execute("UPDATE lambda_function SET invoke_config = ? WHERE id = ?", (value, function.id))


def delete_function(tx: Transaction, function: Function) -> None:
    """Delete a function, and the invocations of it that have not ended."""
    tx.execute("DELETE FROM lambda_invocation WHERE function_id = ?", (function.id,))
    tx.execute("DELETE FROM lambda_function WHERE id = ?", (function.id,))


def code_sha256(code: bytes) -> str:
    """As AWS shows it."""
    return base64.b64encode(hashlib.sha256(code).digest()).decode("ascii")


def _again(tx: Transaction, function_id: int) -> Function:
    function = get_function_by_id(tx.connection, function_id)
    assert function is not None
    return function


def _revision() -> str:
    return str(uuid.uuid4())


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


# Asynchronous invocations -------------------------------------------------------------------------------


def checked_event(payload: bytes, kind: str) -> bytes:
    """What a function is to be invoked with, which must be JSON; nothing stands for an empty object.

    Args:
        kind: AWS's InvocationType.

    Raises:
        RequestTooLargeException: it is over the limit of its kind.
        InvalidRequestContentException: it is no JSON.
    """
    limit = MAX_EVENT_BYTES if kind == "Event" else MAX_PAYLOAD_BYTES
    if len(payload) > limit:
        raise RequestTooLargeException(
            f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        )
    if not payload:
        return b"{}"
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestContentException(
            f"Could not parse request body into json: Could not parse payload into json: {error}"
        ) from error
    return payload


def accept_invocation(
    tx: Transaction,
    function: Function,
    payload: bytes,
    *,
    request_id: str,
    client_context: str | None = None,
    now_ms: int,
) -> None:
    """Take an asynchronous invocation on: it is carried out once this is durable, and until it has ended."""
    tx.execute(
        "INSERT INTO lambda_invocation (function_id, request_id, payload, client_context, accepted_at_ms,"
        " attempt_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (function.id, request_id, payload, client_context, now_ms, now_ms),
    )
    tx.announce(_ACCEPTED)


def due_invocations(
    connection: apsw.Connection, *, until_ms: int, limit: int, skip: frozenset[int]
) -> list[AcceptedInvocation]:
    """Invocations that are to be tried by now, oldest first, without those in `skip`."""
    rows = connection.execute(
        "SELECT id, function_id, request_id, payload, client_context, accepted_at_ms, attempts"
        " FROM lambda_invocation WHERE attempt_at_ms <= ? ORDER BY attempt_at_ms, id LIMIT ?",
        (until_ms, limit + len(skip)),
    )
    found = [AcceptedInvocation(*row) for row in rows if row[0] not in skip]
    return found[:limit]


def next_invocation_at_ms(connection: apsw.Connection, after_ms: int) -> int | None:
    """When the next invocation after a moment is to be tried."""
    moment: int | None = connection.execute(
        "SELECT min(attempt_at_ms) FROM lambda_invocation WHERE attempt_at_ms > ?", (after_ms,)
    ).get
    return moment


def retry_invocation(tx: Transaction, invocation: AcceptedInvocation, *, at_ms: int) -> None:
    """An attempt failed, and another one is to be made."""
    tx.execute(
        "UPDATE lambda_invocation SET attempts = attempts + 1, attempt_at_ms = ? WHERE id = ?", (at_ms, invocation.id)
    )


def end_invocation(tx: Transaction, invocation: AcceptedInvocation) -> bool:
    """The invocation has ended; says whether it was still there (its function may have been deleted)."""
    tx.execute("DELETE FROM lambda_invocation WHERE id = ?", (invocation.id,))
    return bool(tx.connection.changes())
