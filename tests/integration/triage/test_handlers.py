"""Triage on real Postgres: each decision is kept with its reasons, written once, and numbered in
order.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.triage.catalogue.policy import Catalogue, read_catalogue
from services.triage.handlers import Handlers
from shared.events.facts import Fact, event_message, new_event
from shared.events.intake import (
    IncidentCleared,
    IncidentReported,
    IncidentUpdated,
    RequestLogged,
    ServiceRequest,
)
from shared.events.trace_context import new_trace
from shared.kafka.record import Record
from shared.policy.files import PolicyFile
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.installation import raise_epoch
from shared.postgres.writes import write_together
from tests.support.stack import runtime_dsn
from tests.unit.triage.priority.test_domain import incident

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATALOGUE = read_catalogue(
    b"{default_team: platform, services: {checkout: {team: payments, tier: 1}}}"
)


@dataclass
class World:
    """Triage on a database of its own, with a catalogue that can be changed."""

    database: Database
    catalogue: PolicyFile[Catalogue] = CATALOGUE

    async def take(self, *records: Record) -> None:
        async with self.database.transaction() as connection:
            await Handlers(lambda: self.catalogue, lambda: NOON).on_intake(connection, records)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query)]

    async def written(self) -> list[dict[str, Any]]:
        return [
            orjson.loads(row["value"])
            for row in await self.rows("SELECT value FROM outbox ORDER BY id")
        ]


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    own = Database(runtime_dsn(database, "triage"))
    yield World(own)
    await own.close()


def news(fact: Fact, sequence: int, number: int = 1) -> Record:
    message = event_message(new_event(UUID(int=number), sequence, NOON, fact, new_trace()))
    return Record(message.topic, 0, sequence, NOON, message.key, message.value)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].rpartition(".")[2] for event in events]


async def test_what_a_batch_says_of_one_incident_is_answered_once_before_its_end_and_once_after(
    world: World,
) -> None:
    over = incident(status="cleared")
    await world.take(
        news(IncidentReported(incident=incident()), 1),
        news(IncidentUpdated(incident=incident(signal_count=9), changed=["signal_count"]), 2),
        news(IncidentCleared(incident=over, reason="expired"), 3),
    )
    events = await world.written()
    assert kinds(events) == ["IncidentTriaged", "IncidentSubsided"]
    assert [int(event["sequence"]) for event in events] == [1, 2]
    assert events[0]["data"]["triage"]["intake_sequence"] == 2
    (row,) = await world.rows("SELECT intake_sequence, sequence, triage FROM incidents")
    assert (row["intake_sequence"], row["sequence"]) == (3, 2)
    assert row["triage"]["incident"]["status"] == "cleared"
    assert "impact high: checkout is tier 1" in row["triage"]["reasons"]


async def test_news_that_comes_twice_or_late_changes_nothing(world: World) -> None:
    reported, updated = (
        news(IncidentReported(incident=incident()), 1),
        news(IncidentUpdated(incident=incident(signal_count=9), changed=["signal_count"]), 2),
    )
    await world.take(reported, updated)
    await world.take(reported, updated)
    await world.take(reported)
    assert kinds(await world.written()) == ["IncidentTriaged"]


async def test_a_change_of_the_catalogue_counts_from_the_next_news_on(world: World) -> None:
    await world.take(news(IncidentReported(incident=incident()), 1))
    world.catalogue = read_catalogue(
        b"{default_team: platform, services: {checkout: {team: web, tier: 2}}}"
    )
    await world.take(news(IncidentUpdated(incident=incident(), changed=[]), 2))
    last = (await world.written())[-1]
    assert last["data"]["changed"] == ["impact", "priority", "team", "tier"]
    assert last["data"]["triage"]["policy_version"] == world.catalogue.version


async def test_a_request_is_routed_once_and_makes_no_incident(world: World) -> None:
    request = ServiceRequest(
        request_id=UUID(int=7), source="form", summary="a new laptop", received_at=NOON
    )
    record = news(RequestLogged(request=request), 1, number=7)
    await world.take(record, record)
    await world.take(record)
    events = await world.written()
    assert kinds(events) == ["RequestRouted"]
    assert events[0]["data"]["team"] == "platform"
    assert await world.rows("SELECT FROM incidents") == []
    (row,) = await world.rows("SELECT team, reasons FROM requests")
    assert row["team"] == "platform"
    assert "never paged" in " ".join(row["reasons"])


async def test_after_a_raised_epoch_events_are_numbered_above_all_earlier_ones(
    world: World,
) -> None:
    await world.take(news(IncidentReported(incident=incident()), 1))
    async with world.database.transaction() as connection:
        await raise_epoch(connection)
    await world.take(news(IncidentUpdated(incident=incident(), changed=[]), 2))
    first, second = (int(event["sequence"]) for event in await world.written())
    assert second > first
    assert second >> 40 > first >> 40


async def test_the_events_of_an_incident_go_on_in_its_trace(world: World) -> None:
    record = news(IncidentReported(incident=incident()), 1)
    await world.take(record)
    (event,) = await world.written()
    assert event["traceparent"][3:35] == orjson.loads(record.value or b"")["traceparent"][3:35]


async def test_one_statement_reads_and_one_writes(world: World) -> None:
    handlers = Handlers(lambda: world.catalogue, lambda: NOON)
    statements: list[str] = []
    async with world.database.transaction() as connection:
        for sequence in (1, 2):  # with the first one the driver asks for the types of arrays
            await asyncio.sleep(0)  # loggers are called a moment later
            statements.clear()
            with connection.query_logger(lambda query: statements.append(query.query)):
                record = news(IncidentReported(incident=incident()), sequence)
                await handlers.on_intake(connection, [record])
                await asyncio.sleep(0)
    assert len(statements) == 2, statements


async def test_a_reported_incident_is_taken_to_be_new_and_its_write_fails_where_it_is_not(
    world: World,
) -> None:
    handlers = Handlers(lambda: world.catalogue, lambda: NOON)
    statements: list[str] = []

    async def report(number: int) -> None:
        record = news(IncidentReported(incident=incident()), 1, number)
        async with world.database.connection() as connection:
            with connection.query_logger(lambda query: statements.append(query.query)):
                await write_together(connection, await handlers.decide(connection, [record]))
                await asyncio.sleep(0)

    await report(1)
    statements.clear()
    await report(2)
    assert len(statements) == 1, statements
    with pytest.raises(Conflict):
        await report(2)
    async with world.database.transaction() as connection:
        await raise_epoch(connection)
    with pytest.raises(Conflict):  # its sequence would be of the epoch before
        await report(3)
    assert kinds(await world.written()) == ["IncidentTriaged", "IncidentTriaged"]


async def test_a_decision_on_a_state_that_has_changed_since_is_refused_as_a_whole(
    world: World,
) -> None:
    handlers = Handlers(lambda: world.catalogue, lambda: NOON)
    reported = news(IncidentReported(incident=incident()), 1)
    cleared = IncidentCleared(incident=incident(status="cleared"), reason="expired")
    for others, own in (([], reported), ([reported], news(cleared, 2))):
        async with world.database.connection() as connection:
            writes = await handlers.decide(connection, [own])
            await world.take(*others, own)
            with pytest.raises(Conflict):
                await write_together(connection, writes)

    assert kinds(await world.written()) == ["IncidentTriaged", "IncidentSubsided"]
