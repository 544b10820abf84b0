"""What a service says about its machine's clock, and about an outbox that nobody publishes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from shared.postgres import watches
from shared.postgres.database import Database
from shared.postgres.leadership import compete
from shared.postgres.watches import ClockWatch, LeaderWatch
from shared.runtime.clock import system_clock
from shared.runtime.health import Component
from tests.support.running import eventually

ROLE = "intake relay"


@asynccontextmanager
async def watching(watch: Component) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def problems(watch: Component) -> Sequence[str]:
    found: Sequence[str] = await eventually("a problem", lambda: asyncio.sleep(0, watch.problems()))
    return found


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1800, "1800.0 s ahead of"), (-3, "3.0 s behind"), (2.5, "2.5 s ahead of")],
)
async def test_a_machine_whose_clock_is_off_says_so(
    intake: Database, seconds: float, said: str
) -> None:
    watch = ClockWatch(intake, lambda: system_clock() + timedelta(seconds=seconds))
    assert watch.problems() == []
    assert watch.levels() == [], "nothing is known yet"
    async with watching(watch):
        assert await problems(watch) == [f"this machine's clock is {said} the database's"]
    (level,) = watch.levels()
    assert level.value == pytest.approx(seconds, abs=0.5)


async def test_a_clock_that_is_right_is_no_problem(intake: Database) -> None:
    watch = ClockWatch(intake, lambda: system_clock() + timedelta(seconds=1.5))
    async with watching(watch):
        await eventually("a reading", lambda: asyncio.sleep(0, watch.levels()))
    assert watch.problems() == []


async def test_no_leader_is_a_problem_after_a_while_and_a_new_one_ends_it(
    intake: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(watches, "_GRACE_SECONDS", 0.5)
    watch = LeaderWatch(intake, ROLE)
    async with watching(watch):
        (problem,) = await problems(watch)
        assert problem.startswith("no replica has led the intake relay for ")
        async with compete(intake.dsn, ROLE, "intake.outbox"):
            await eventually("none", lambda: asyncio.sleep(0, not watch.problems()))
