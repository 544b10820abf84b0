"""Old signals, and early resolutions of the same age, are forgotten while the service runs."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from services.intake.incidents.store import delete_early_resolutions
from services.intake.signals.pruning import Pruning
from tests.integration.intake.conftest import NOON, World, fired
from tests.support.running import eventually


async def test_what_is_older_than_the_window_goes_and_the_rest_stays(world: World) -> None:
    await world.take(fired("old"))
    await world.resolved(seen=1, incident_id=fired("never known").subject)
    world.clock[0] += timedelta(days=8)
    await world.take(fired("new"))
    clock, window = (lambda: world.clock[0]), (lambda: timedelta(days=7))
    pruning = Pruning(world.database, window, delete_early_resolutions, clock)
    task = asyncio.create_task(pruning.run())

    async def only_new() -> bool:
        signals = await world.rows("SELECT signal_id FROM signals")
        return [row["signal_id"] for row in signals] == ["new"]

    async def none_early() -> bool:
        return not await world.rows("SELECT FROM resolved_ahead")

    await eventually("old signals are gone", only_new)
    await eventually("early resolutions are gone", none_early)
    assert world.clock[0] > NOON
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
