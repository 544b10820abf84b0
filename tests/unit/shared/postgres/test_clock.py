"""The database's clock as it is known between two readings."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.postgres.clock import ClockUnknown, DatabaseClock

START = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)


class Machine:
    """A timer that the test moves, and a database that takes its time to answer."""

    def __init__(self) -> None:
        self.timer = 1000.0
        self.ahead = START - datetime.fromtimestamp(1000, UTC)
        self.clock = DatabaseClock(lambda: self.timer)

    def true_time(self) -> datetime:
        return datetime.fromtimestamp(self.timer, UTC) + self.ahead

    async def read(self, before: float = 0.0, after: float = 0.0) -> None:
        """A reading that takes so many seconds before and after the clock is looked at."""

        async def ask() -> datetime:
            self.timer += before
            told = self.true_time()
            self.timer += after
            return told

        await self.clock.read(ask)

    def error(self) -> float:
        return (self.clock() - self.true_time()).total_seconds()


async def test_before_the_first_reading_nobody_knows_the_time() -> None:
    with pytest.raises(ClockUnknown):
        DatabaseClock()()


async def test_between_readings_the_timer_goes_on() -> None:
    machine = Machine()
    await machine.read()
    machine.timer += 3600
    assert machine.clock() - START == timedelta(hours=1)


@pytest.mark.parametrize(("before", "after"), [(2.0, 0.0), (0.0, 2.0), (0.5, 1.5)])
async def test_a_slow_answer_is_off_by_half_its_time_at_most(before: float, after: float) -> None:
    machine = Machine()
    await machine.read(before, after)
    assert abs(machine.error()) <= 1.0 + 1e-6


async def test_a_quick_answer_corrects_a_slow_one_and_not_the_other_way_round() -> None:
    machine = Machine()
    await machine.read(before=3.0)
    await machine.read(before=0.001, after=0.001)
    assert abs(machine.error()) <= 0.002
    await machine.read(after=10.0)
    assert abs(machine.error()) <= 0.002


@pytest.mark.parametrize("step", [-45.0, 45.0])
async def test_a_step_of_the_databases_clock_is_followed(step: float) -> None:
    machine = Machine()
    await machine.read(0.001, 0.001)
    machine.ahead += timedelta(seconds=step)
    await machine.read(0.001, 0.001)
    assert abs(machine.error()) <= 0.002
