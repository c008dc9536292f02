"""pgqueuer on PostgreSQL over asyncpg, fifty jobs a batch; all else as it comes."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import asyncpg
from common import due_at_ms, main, note, now_ms, ready, say_created
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

BULK = 1000


def _arguments(spec: dict[str, Any], number: int) -> tuple[bytes, timedelta]:
    due = due_at_ms(spec, number)
    return b"%s %d %d" % (spec["notes"].encode(), number, due), timedelta(milliseconds=due - now_ms())


async def _create(spec: dict[str, Any]) -> None:
    async with asyncpg.create_pool(spec["dsn"], min_size=spec["at_once"], max_size=spec["at_once"]) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        if not await queries.schema_is_installed():
            await queries.install()
        begun = time.perf_counter()
        over_at = begun + spec["limit_seconds"]
        numbers = iter(range(spec["count"]))
        made = 0

        async def each() -> None:
            nonlocal made
            for number in numbers:
                if time.perf_counter() > over_at:
                    return
                payload, delay = _arguments(spec, number)
                await queries.enqueue("job", payload, execute_after=delay)
                made += 1

        async def many() -> None:
            nonlocal made
            for first in range(0, spec["count"], BULK):
                if time.perf_counter() > over_at:
                    return
                some = [_arguments(spec, number) for number in range(first, min(first + BULK, spec["count"]))]
                payloads, delays = [one[0] for one in some], [one[1] for one in some]
                await queries.enqueue(["job"] * len(some), payloads, [0] * len(some), delays)
                made += len(some)

        if spec["bulk"]:
            await many()
        else:
            await asyncio.gather(*(each() for _ in range(spec["at_once"])))
        say_created(made, time.perf_counter() - begun)


async def _work(spec: dict[str, Any]) -> None:
    connection = await asyncpg.connect(spec["dsn"])
    queuer = PgQueuer(AsyncpgDriver(connection))

    @queuer.entrypoint("job")
    async def job(one: Job) -> None:
        path, number, due = one.payload.decode().rsplit(" ", 2)
        note(path, int(number), int(due))

    ready()
    await queuer.run(batch_size=50, heartbeat_timeout=timedelta(seconds=spec["stalled_seconds"]))


main(lambda spec: asyncio.run(_create(spec)), lambda spec: asyncio.run(_work(spec)))
