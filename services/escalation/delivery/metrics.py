"""Gauges of the delivery ledger."""

from collections.abc import Sequence
from datetime import datetime

from services.escalation.delivery import store as ledger
from services.escalation.metrics import PAGES_LATE
from shared.postgres.connection import Connection
from shared.runtime.clock import seconds_since
from shared.telemetry import Level


async def poll(connection: Connection, now: datetime) -> Sequence[Level]:
    """How late the oldest page is that waits."""
    return [Level(PAGES_LATE, seconds_since(await ledger.load_next_due(connection), now))]
