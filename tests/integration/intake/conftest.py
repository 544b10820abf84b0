"""Intake on a database of its own, with a clock that jumps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import orjson
import pytest

from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.handlers import Handlers
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import IntakePolicy
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from services.intake.signals.domain import AlertData, Signal
from services.intake.signals.group_commit import GroupCommit, Take
from shared.postgres.database import Database
from shared.postgres.timers import claim_timers
from tests.support.http import served
from tests.support.resolving import resolution
from tests.support.stack import runtime_dsn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = IntakePolicy(
    update_interval=timedelta(seconds=10), expiry_grace=timedelta(minutes=2), storm=None
)


@dataclass
class World:
    """Intake with a clock that jumps, on a database of its own."""

    handlers: Handlers
    database: Database
    clock: list[datetime]
    admin: str

    async def take(self, *signals: Signal) -> None:
        async with self.database.transaction() as connection:
            await self.handlers.take(connection, signals)

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def outbox(self) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.rows("SELECT value FROM outbox ORDER BY id")
        events = [orjson.loads(row["value"]) for row in rows]
        return [(event["type"].rpartition(".")[2], event) for event in events]

    async def fire_due(self) -> None:
        async with self.database.transaction() as connection:
            await self.handlers.fire(connection, await claim_timers(connection, self.clock[0], 100))

    async def resolved(self, seen: int, incident_id: UUID | None = None) -> None:
        """A person resolves the first incident (or the one given), having seen event `seen`."""
        rows = await self.rows("SELECT incident_id, number FROM incidents ORDER BY number LIMIT 1")
        row: dict[str, Any] = (
            {"incident_id": incident_id, "number": 1000} if incident_id else rows[0]
        )
        record = resolution(row["incident_id"], row["number"], seen, NOON)
        async with self.database.transaction() as connection:
            await self.handlers.on_escalation(connection, [record])


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    own = Database(runtime_dsn(database, "intake"))
    clock = [NOON]
    yield World(Handlers(lambda: POLICY, lambda: clock[0]), own, clock, database)
    await own.close()


def fired(signal_id: str, key: str = "disk", status: str = "firing", **data: Any) -> Signal:
    body = AlertData(**{"summary": "disk full", "key": key, "status": status, **data})
    return Signal("probe", signal_id, NOON, NOON, None, body)


@asynccontextmanager
async def committing(database: Database, take_new: Take, take: Take) -> AsyncIterator[GroupCommit]:
    """A group commit that runs inside the block."""
    commit = GroupCommit(database, take_new, take)
    task = asyncio.create_task(commit.run())
    yield commit
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def base(world: World) -> AsyncIterator[str]:
    """Where intake's HTTP is served."""
    async with committing(world.database, world.handlers.take_new, world.handlers.take) as commit:
        keys = KeyRing(world.database, lambda: NOON)
        lookup = KnownAlerts(world.database).find
        api = make_api(Services(keys, commit.submit, lookup, lambda: NOON))
        async with served(api) as address:
            yield address


@pytest.fixture
async def http(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has a key."""
    async with world.database.transaction() as connection:
        key = await create_key(connection, "tests", None, NOON)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        yield session


async def post(
    http: aiohttp.ClientSession, url: str, body: Any, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with http.post(url, data=data, headers=headers) as answer:
        return answer.status, orjson.loads(await answer.read())


def notification(status: str, *instances: str) -> dict[str, Any]:
    """A notification of Alertmanager, version 4, for alerts of one group."""
    labels = {"alertname": "Down", "service": "checkout", "severity": "critical"}
    return {
        "version": "4",
        "groupKey": '{}:{alertname="Down"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "tocsin",
        "groupLabels": {"alertname": "Down"},
        "commonLabels": labels,
        "commonAnnotations": {"summary": "checkout is down"},
        "externalURL": "http://alertmanager.example",
        "alerts": [
            {
                "status": status,
                "labels": labels | {"instance": instance},
                "annotations": {"summary": "checkout is down"},
                "startsAt": "2026-03-01T12:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-03-01T12:30:00Z",
                "generatorURL": "http://prometheus.example/graph",
                "fingerprint": f"fp-{instance}",
            }
            for instance in instances
        ],
    }
