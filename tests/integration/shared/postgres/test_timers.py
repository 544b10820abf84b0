"""What is to be done later is done once, whatever restarts in between."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from shared.events.ids import uuid7
from shared.events.message import OutboxMessage
from shared.events.rejections import DEAD_LETTERS
from shared.events.trace_context import new_trace
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.outbox import insert_outbox
from shared.postgres.timers import Fire, Ticker, Timer, timers_write
from shared.postgres.wake import Wake
from shared.postgres.writes import write_together
from tests.support.running import eventually
from tests.support.stack import runtime_dsn

# 2023-01-24 06:00 in Berlin
SIX = datetime(2023, 1, 24, 5, 0, tzinfo=UTC)
NINE = SIX + timedelta(hours=3)


class World:
    """A database with timers, a clock that jumps, and as many tickers on it as are wanted."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.database = Database(dsn)
        self.now = SIX
        self._wakes: list[asyncio.Event] = []

    def jump(self, now: datetime) -> None:
        self.now = now
        for wake in self._wakes:
            wake.set()

    @contextmanager
    def ticking(self, fire: Fire, wake: asyncio.Event | None = None) -> Iterator[Ticker]:
        wake = wake or asyncio.Event()
        self._wakes.append(wake)
        ticker = Ticker(self.database, fire, lambda: self.now, wake)
        task = asyncio.create_task(ticker.run())
        try:
            yield ticker
            assert not task.done(), task.exception()
        finally:
            task.cancel()

    async def set(self, *timers: Timer) -> None:
        async with self.database.transaction() as connection:
            await write_together(connection, [timers_write(timers, self.now)])

    async def left(self) -> int:
        async with self.database.connection() as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM timers")
        return count

    async def effects(self) -> list[asyncpg.Record]:
        async with self.database.connection() as connection:
            return list(await connection.fetch("SELECT topic, key, value FROM outbox ORDER BY id"))

    async def fired(self) -> Counter[str]:
        """How often each subject's timer had its effect."""
        return Counter(
            row["key"].decode() for row in await self.effects() if row["topic"] == "pages"
        )

    async def until_none_is_left(self) -> None:
        async def none_left() -> bool:
            return await self.left() == 0

        await eventually("all timers have fired", none_left)


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    world = World(runtime_dsn(database, "escalation"))
    yield world
    await world.database.close()


async def page(connection: Connection, timers: Sequence[Timer]) -> None:
    """The effect that the tests count."""
    messages = [
        OutboxMessage("pages", str(timer.subject).encode(), timer.kind.encode()) for timer in timers
    ]
    await insert_outbox(connection, messages, SIX)


def step(due_at: datetime = NINE, kind: str = "step", subject: UUID | None = None) -> Timer:
    return Timer(kind, subject or uuid7(), due_at)


async def test_a_step_that_waits_for_nine_fires_at_nine_although_all_restarts_at_seven(
    world: World,
) -> None:
    await world.set(timer := step())
    with world.ticking(page):
        world.jump(SIX + timedelta(hours=1))
    assert await world.fired() == Counter()

    with world.ticking(page):
        world.jump(NINE - timedelta(milliseconds=1))
        assert await world.left() == 1
        world.jump(NINE)
        await world.until_none_is_left()

    assert await world.fired() == {str(timer.subject): 1}


async def test_a_timer_that_came_due_while_nothing_ran_fires_on_the_start(world: World) -> None:
    await world.set(timer := step())
    world.jump(NINE + timedelta(days=2))

    with world.ticking(page):
        await world.until_none_is_left()

    assert await world.fired() == {str(timer.subject): 1}


async def test_a_timer_that_comes_due_just_after_the_query_is_not_taken_for_another_replicas(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.postgres.timers._CLAIMED_SECONDS", 3600)
    await world.set(timer := step())
    times = iter([NINE - timedelta(milliseconds=1)])
    ticker = Ticker(world.database, page, lambda: next(times, NINE), asyncio.Event())

    task = asyncio.create_task(ticker.run())
    try:
        await world.until_none_is_left()
    finally:
        task.cancel()

    assert await world.fired() == {str(timer.subject): 1}


async def test_a_timer_comes_back_as_it_was_set_and_the_oldest_first(world: World) -> None:
    seen: list[Timer] = []

    async def note(_: Connection, timers: Sequence[Timer]) -> None:
        seen.extend(timers)

    later = Timer("escalate", uuid7(), NINE, {"step": 2, "why": "ünacknowledged"}, new_trace())
    first = Timer("retry", uuid7(), SIX + timedelta(seconds=1))
    await world.set(later, first)
    world.jump(NINE)

    with world.ticking(note):
        await world.until_none_is_left()

    assert [timer.kind for timer in seen] == ["retry", "escalate"]
    assert (seen[1].subject, seen[1].due_at, seen[1].payload) == (
        later.subject,
        later.due_at,
        later.payload,
    )
    assert seen[1].trace == later.trace
    assert seen[0].trace is None


async def test_a_new_timer_wakes_a_ticker_that_sleeps_for_long(world: World) -> None:
    wake = Wake(world.dsn, "escalation")
    woken = wake.subscribe("timers")
    listening = asyncio.create_task(wake.run())
    try:
        await woken.wait()
        with world.ticking(page, woken):
            await world.set(step(SIX - timedelta(seconds=1)))
            await world.until_none_is_left()
    finally:
        listening.cancel()


async def test_each_of_many_timers_fires_once_with_two_tickers(world: World) -> None:
    timers = [step() for _ in range(1000)]
    await world.set(*timers)
    batches: list[int] = []

    async def fire(connection: Connection, due: Sequence[Timer]) -> None:
        batches.append(len(due))
        await page(connection, due)

    with world.ticking(fire), world.ticking(fire):
        world.jump(NINE)
        await world.until_none_is_left()

    assert await world.fired() == {str(timer.subject): 1 for timer in timers}
    assert len(batches) == 10


async def test_a_timer_may_set_the_next_one(world: World) -> None:
    async def fire(connection: Connection, timers: Sequence[Timer]) -> None:
        await page(connection, timers)
        again = [
            step(timer.due_at, "last", timer.subject) for timer in timers if timer.kind == "step"
        ]
        await write_together(connection, [timers_write(again, world.now)])

    await world.set(timer := step())
    with world.ticking(fire):
        world.jump(NINE)
        await world.until_none_is_left()

    assert await world.fired() == {str(timer.subject): 2}


async def test_a_timer_that_fails_is_told_to_operators_the_others_fire_and_it_does_once_it_can(
    world: World,
) -> None:
    good, bad = [step() for _ in range(20)], step(kind="broken")
    broken = True

    async def fire(connection: Connection, timers: Sequence[Timer]) -> None:
        await page(connection, timers)
        if broken and any(timer.kind == "broken" for timer in timers):
            raise KeyError("no such step")

    async def tried() -> bool:
        async with world.database.connection() as connection:
            return bool(await connection.fetchval("SELECT min(due_at) > $1 FROM timers", NINE))

    await world.set(*good[:7], bad, *good[7:])
    with world.ticking(fire) as ticker:
        world.jump(NINE)
        await eventually("all have been tried", tried)
        assert ticker.problems() == []
        assert await world.fired() == {str(timer.subject): 1 for timer in good}
        broken = False
        world.jump(NINE + timedelta(minutes=5))
        await world.until_none_is_left()

    assert await world.fired() == {str(timer.subject): 1 for timer in (*good, bad)}
    (letter,) = [
        json.loads(row["value"]) for row in await world.effects() if row["topic"] == DEAD_LETTERS
    ]
    assert letter["data"]["service"] == "escalation"
    assert letter["data"]["origin"] == "timer broken"
    assert letter["data"]["reason"] == "KeyError: 'no such step'"
    assert letter["data"]["key"] == str(bad.subject)


@pytest.mark.parametrize(
    "trouble",
    [Conflict("lost a race"), ConnectionError("no route"), asyncpg.DeadlockDetectedError()],
)
async def test_a_race_or_an_outage_is_no_fault_of_the_timer(
    world: World, trouble: Exception
) -> None:
    troubles = [trouble, trouble]

    async def fire(connection: Connection, timers: Sequence[Timer]) -> None:
        await page(connection, timers)
        if troubles:
            raise troubles.pop()

    await world.set(timer := step())
    with world.ticking(fire) as ticker:
        world.jump(NINE)
        await eventually("a problem", lambda: asyncio.sleep(0, ticker.problems()))
        await world.until_none_is_left()
        await eventually("no problem", lambda: asyncio.sleep(0, not ticker.problems()))

    assert await world.fired() == {str(timer.subject): 1}


async def test_a_lost_connection_in_the_middle_of_a_step_fires_it_once(world: World) -> None:
    attempts = 0

    async def fire(connection: Connection, timers: Sequence[Timer]) -> None:
        nonlocal attempts
        attempts += 1
        await page(connection, timers)
        if attempts == 1:
            async with world.database.connection() as other:
                await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())

    await world.set(timer := step())
    with world.ticking(fire):
        world.jump(NINE)
        await world.until_none_is_left()

    assert attempts == 2
    assert await world.fired() == {str(timer.subject): 1}


# A ticker in a process of its own, which says so when a step's effects are written, and then never
# commits.
HANGING = """
import asyncio, sys
from datetime import UTC, datetime
from shared.postgres.database import Database
from shared.postgres.timers import Ticker
from tests.integration.shared.postgres.test_timers import NINE, page

async def fire(connection, timers):
    await page(connection, timers)
    print(len(timers), flush=True)
    await asyncio.sleep(3600)

asyncio.run(Ticker(Database(sys.argv[1]), fire, lambda: NINE, asyncio.Event()).run())
"""


async def test_a_process_that_dies_in_a_step_delays_nobody_else_and_its_step_resumes_once(
    world: World,
) -> None:
    await world.set(held := step())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGING, world.dsn, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"1\n"

        await world.set(other := step())
        with world.ticking(page):
            world.jump(NINE)

            async def other_fired() -> bool:
                return str(other.subject) in await world.fired()

            await eventually("the other step", other_fired)
            process.kill()
            await process.wait()
            await world.until_none_is_left()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert await world.fired() == {str(held.subject): 1, str(other.subject): 1}
