"""The log of signals."""

import pytest

from services.intake.signals.domain import Decision, Taken
from services.intake.signals.store import signals_write
from shared.postgres.errors import Conflict
from shared.postgres.writes import write_together
from tests.integration.intake.conftest import NOON, World, fired


async def test_a_signal_that_another_transaction_logged_first_is_a_conflict(world: World) -> None:
    kept = [(fired("kept"), Taken(Decision.JOINED, None))]
    async with world.database.connection() as connection:
        assert await write_together(connection, [signals_write(kept, NOON)]) == [1]
        with pytest.raises(Conflict):
            await write_together(connection, [signals_write(kept, NOON)])
