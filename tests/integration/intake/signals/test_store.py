"""The log of signals."""

from datetime import timedelta

import pytest

from services.intake.signals.domain import Decision, Taken
from services.intake.signals.store import delete_old_signals, signals_write
from shared.postgres.errors import Conflict
from shared.postgres.writes import write_together
from tests.integration.intake.conftest import NOON, World, fired


async def test_old_signals_are_forgotten_in_pieces_that_fit_into_a_statement(world: World) -> None:
    async with world.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO signals (origin, signal_id, received_at, decision) "
            "SELECT 'probe', number::text, $1, 'joined' FROM generate_series(1, 25) AS number",
            NOON - timedelta(days=8),
        )
        kept = [(fired("kept"), Taken(Decision.JOINED, None))]
        assert await write_together(connection, [signals_write(kept, NOON)]) == [1]
    async with world.database.connection() as connection:
        with pytest.raises(Conflict):
            await write_together(connection, [signals_write(kept, NOON)])
    removed = []
    async with world.database.connection() as connection:
        before = NOON - timedelta(days=7)
        while count := await delete_old_signals(connection, before, limit=10):
            removed.append(count)
        assert removed == [10, 10, 5]
        assert await connection.fetchval("SELECT signal_id FROM signals") == "kept"
