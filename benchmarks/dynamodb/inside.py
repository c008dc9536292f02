"""A data folder filled in this process, by the store's own functions: what HTTP would have put there, sooner.

    python benchmarks/dynamodb/inside.py DATA_FOLDER PARTITIONS TEXT_BYTES

Items come in the order of their keys, so that the index over keys only grows at its end.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(1, str(Path(__file__).parents[1]))

import uvloop
from operations import ITEMS_A_PARTITION, TABLE, Population

from duestream.clock import SystemClock
from duestream.local.store import items, tables
from duestream.local.store.store import Store
from duestream.local.store.writer import Transaction

PARTITIONS_A_JOB = 200
EVERY = 100_000


async def fill(data: Path, population: Population) -> None:
    """Make the table, and put all items; says on stderr how far it is."""
    store, now_ms = Store.open(data), SystemClock().now_ms()
    table = await store.write(
        lambda tx: tables.create_table(tx, TABLE, region="us-east-1", partition_key="PK", sort_key="SK", now_ms=now_ms)
    )
    begun = perf_counter()
    template = population.item()
    for first in range(0, population.partitions, PARTITIONS_A_JOB):
        partitions = range(first, min(first + PARTITIONS_A_JOB, population.partitions))

        def job(tx: Transaction, partitions: range = partitions) -> None:
            for partition in partitions:
                for sort in range(ITEMS_A_PARTITION):
                    key = {"PK": {"S": f"customer#{partition:010d}"}, "SK": {"S": f"order#{sort:010d}"}}
                    items.put_item(tx, table, {**template, **key}, now_ms=now_ms)

        await store.write(job)
        if partitions.stop % EVERY == 0:
            seconds = perf_counter() - begun
            print(f"{partitions.stop * ITEMS_A_PARTITION:,} items, {seconds:.0f} s", file=sys.stderr, flush=True)
    await store.close()
    # Last, so that a fill that was cut short is not taken for a whole one.
    (data.parent / "filled.json").write_text(json.dumps({"seconds": perf_counter() - begun}))


if __name__ == "__main__":
    uvloop.run(fill(Path(sys.argv[1]), Population(partitions=int(sys.argv[2]), text_bytes=int(sys.argv[3]))))
