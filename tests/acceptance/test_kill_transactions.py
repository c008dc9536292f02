"""SIGKILL amid transactions: each was done whole or not at all, and once, however often its token was sent."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

RULES = """
from duestream import App

app = App("bank")
ledger = app.table("Ledger", partition_key="PK")
accounts = app.table("Accounts", partition_key="PK")
"""
ACCOUNTS = 5
WRITERS = 4
KILLS = 3

#: Number, account that pays, account that is paid.
Transfer = tuple[str, int, int]


def transfer(client: Any, one: Transfer) -> None:
    """Move 1 from an account to another and write it down, as items or, every other time, as statements."""
    number, payer, payee = one
    if int(number.rpartition("-")[2]) % 2:
        statements = [
            f"UPDATE Accounts SET balance = balance - 1 WHERE PK = '{payer}'",
            f"UPDATE Accounts SET balance = balance + 1 WHERE PK = '{payee}'",
            f"INSERT INTO Ledger VALUE {{'PK': '{number}', 'payer': '{payer}', 'payee': '{payee}'}}",
        ]
        members = [{"Statement": statement} for statement in statements]
        client.execute_transaction(TransactStatements=members, ClientRequestToken=number)
        return
    entry = {"PK": {"S": number}, "payer": {"S": str(payer)}, "payee": {"S": str(payee)}}
    changes = [
        {
            "Update": {
                "TableName": "Accounts",
                "Key": {"PK": {"S": str(account)}},
                "UpdateExpression": "ADD balance :by",
                "ExpressionAttributeValues": {":by": {"N": by}},
            }
        }
        for account, by in ((payer, "-1"), (payee, "1"))
    ]
    put = {"TableName": "Ledger", "Item": entry, "ConditionExpression": "attribute_not_exists(PK)"}
    client.transact_write_items(TransactItems=[*changes, {"Put": put}], ClientRequestToken=number)


class Writer:
    """Makes transfers until it is told to stop, or the server is gone; then one may be left of which nobody knows."""

    def __init__(self, name: int) -> None:
        self.name = name
        self.acknowledged: list[Transfer] = []
        self.unknown: list[Transfer] = []
        self._number = 0

    def run(self, running: Up, stop: threading.Event, seed: int) -> None:
        chance = random.Random(seed)
        client = running.client("dynamodb")
        while not stop.is_set():
            self._number += 1
            payer, payee = chance.sample(range(ACCOUNTS), 2)
            one = (f"{self.name}-{self._number}", payer, payee)
            try:
                transfer(client, one)
            except (BotoCoreError, ClientError):
                self.unknown.append(one)
                return
            self.acknowledged.append(one)


def has_done(writers: list[Writer], enough: int) -> bool:
    return sum(len(writer.acknowledged) for writer in writers) >= enough


def contents(client: Any, table: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("scan").paginate(TableName=table)
    return [item for page in pages for item in page["Items"]]


def test_killed_amid_transactions_each_is_whole_and_once(tmp_path: Path, up: Callable[..., Up]) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    rules = tmp_path / "rules.py"
    rules.write_text(RULES)
    running = up(rules)
    for account in range(ACCOUNTS):
        item = {"PK": {"S": str(account)}, "balance": {"N": "0"}}
        running.client("dynamodb").put_item(TableName="Accounts", Item=item)
    writers = [Writer(name) for name in range(WRITERS)]
    for _ in range(KILLS):
        stop = threading.Event()
        enough = sum(len(writer.acknowledged) for writer in writers) + chance.randrange(20, 150)
        threads = [
            threading.Thread(target=writer.run, args=(running, stop, chance.randrange(2**32))) for writer in writers
        ]
        for thread in threads:
            thread.start()
        running.wait_for(partial(has_done, writers, enough))
        running.kill()
        stop.set()
        for thread in threads:
            thread.join()
        running = up(rules)
        client = running.client("dynamodb")
        for writer in writers:  # whether they were done or not: with their tokens they are now, and once
            for one in writer.unknown + writer.acknowledged[-1:]:
                transfer(client, one)
            writer.acknowledged += writer.unknown
            writer.unknown = []
    client = running.client("dynamodb")
    made = [one for writer in writers for one in writer.acknowledged]
    written = {item["PK"]["S"]: (item["payer"]["S"], item["payee"]["S"]) for item in contents(client, "Ledger")}
    assert written == {number: (str(payer), str(payee)) for number, payer, payee in made}, f"seed {seed}"
    expected: Counter[str] = Counter()
    for _, payer, payee in made:
        expected[str(payer)] -= 1
        expected[str(payee)] += 1
    balances = {item["PK"]["S"]: int(item["balance"]["N"]) for item in contents(client, "Accounts")}
    assert balances == {str(account): expected[str(account)] for account in range(ACCOUNTS)}, f"seed {seed}"
