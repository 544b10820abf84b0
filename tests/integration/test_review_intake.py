"""Intake against hostile and late input on real Postgres: nothing stalls, nothing is lost, each fault costs itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.intake.handlers import Intake
from services.intake.policy import IntakePolicy
from services.intake.signals import AlertData, Signal
from shared.db import Database
from shared.events.escalation import IncidentResolved, Response
from shared.events.facts import event_message, new_event
from shared.events.triage import Priority
from shared.installation import raise_epoch
from shared.record import Record
from tests.support.stack import runtime_dsn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = IntakePolicy(update_interval=timedelta(seconds=10), expiry_grace=timedelta(minutes=2))


@pytest.fixture
async def own(database: str) -> AsyncIterator[Database]:
    opened = Database(runtime_dsn(database, "intake"))
    yield opened
    await opened.close()


@pytest.fixture
def intake() -> Intake:
    return Intake(lambda: POLICY, lambda: NOON)


def fired(signal_id: str, **data: str) -> Signal:
    body = AlertData.model_validate({"summary": "disk full", "key": "disk", **data})
    return Signal("probe", signal_id, NOON, NOON, None, body)


def resolved(incident_id: UUID, seen: int) -> Record:
    """A person resolved the incident, having seen event `seen`, as escalation tells it."""
    response = Response(
        incident_id=incident_id,
        number=1000,
        status="resolved",
        priority=Priority.P1,
        team="payments",
        summary="disk full",
        step=1,
        round=1,
        waiting_on="",
        started_at=NOON,
        intake_sequence=seen,
        triage_sequence=1,
        policy_version="v",
    )
    fact = IncidentResolved(response=response, by="ana", via="api", cut=[])
    message = event_message(new_event(incident_id, 9, NOON, fact, None))
    return Record(message.topic, 0, 0, NOON, message.key, message.value)


async def test_an_incident_made_again_from_its_signal_after_a_restore_is_closed_by_its_old_resolution(
    own: Database, intake: Intake
) -> None:
    async with own.transaction() as connection:
        await raise_epoch(connection)  # what a restored database does
        await intake.take(connection, [fired("1")])
    async with own.transaction() as connection:
        # Resolved before the restore, at event 1 of the epoch before: below all that is told now.
        await intake.on_escalation(connection, [resolved(fired("1").subject, 1)])
    async with own.connection() as connection:
        rows = await connection.fetch("SELECT incident_id, status FROM incidents")
    assert [tuple(row) for row in rows] == [(fired("1").subject, "closed")], "nobody fired but its opener"
