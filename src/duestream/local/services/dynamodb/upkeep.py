"""What goes on behind the answers: deleted tables and indexes are emptied, new indexes are filled, in chunks."""

import asyncio
from contextlib import suppress

from duestream.local.store import index_building, tables
from duestream.local.store.store import Store
from duestream.local.store.writer import StoreStoppedError

_at_work: set[asyncio.Task[None]] = set()


def resume_table_upkeep(store: Store) -> None:
    """Go on with what there is to remove and to build, in chunks. To be called at the server's start, too."""
    work = asyncio.get_running_loop().create_task(_work(store))
    _at_work.add(work)
    work.add_done_callback(_at_work.discard)


async def stop_table_upkeep() -> None:
    """Put off what is not done yet; `resume_table_upkeep` goes on at the next start."""
    loop = asyncio.get_running_loop()
    own = [work for work in tuple(_at_work) if work.get_loop() is loop]
    for work in own:
        work.cancel()
    await asyncio.gather(*own, return_exceptions=True)


async def _work(store: Store) -> None:
    with suppress(StoreStoppedError):  # the next start goes on
        while await store.write(index_building.build_step):
            pass
        while await store.write(tables.purge_step):
            pass
