"""Tokens of transactions: remembered for ten minutes, and no longer than that in the file."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from duestream.local.store import transaction_tokens
from duestream.local.store.database import open_database
from duestream.local.store.transaction_tokens import RETENTION_MS
from duestream.local.store.writer import Transaction

REQUEST = {"TransactItems": [{"Put": {"TableName": "t", "Item": {}}}], "ClientRequestToken": "t"}


@pytest.fixture
def tx() -> Iterator[Transaction]:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        yield Transaction(database.write_connection)
        database.close()


def test_a_token_stands_for_its_operation_and_its_parameters(tx: Transaction) -> None:
    def is_repeated(operation: str = "TransactWriteItems", token: str = "t", **more: object) -> bool | None:
        return transaction_tokens.is_repeated(tx, operation, token, REQUEST | more, now_ms=1)

    assert is_repeated() is None
    transaction_tokens.remember(tx, "TransactWriteItems", "t", REQUEST, now_ms=0)
    assert is_repeated() is True
    assert is_repeated(ReturnConsumedCapacity="TOTAL") is False
    assert is_repeated(token="u") is None
    assert is_repeated(operation="ExecuteTransaction") is None


def test_a_token_is_good_for_ten_minutes(tx: Transaction) -> None:
    transaction_tokens.remember(tx, "TransactWriteItems", "t", REQUEST, now_ms=0)
    for now_ms, expected in ((RETENTION_MS - 1, True), (RETENTION_MS, None)):
        found = transaction_tokens.is_repeated(tx, "TransactWriteItems", "t", REQUEST, now_ms=now_ms)
        assert found is expected


def test_the_file_shrinks_after_a_rush(tx: Transaction) -> None:
    for number in range(40):
        transaction_tokens.remember(tx, "TransactWriteItems", f"old-{number}", REQUEST, now_ms=0)
    for number in range(10):
        transaction_tokens.remember(tx, "TransactWriteItems", f"new-{number}", REQUEST, now_ms=RETENTION_MS)
    assert tx.execute("SELECT count(*) FROM transaction_token").get == 10
