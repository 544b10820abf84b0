"""A page to try channels with."""

from datetime import UTC, datetime

from services.escalation.delivery.domain.page import Notice
from services.escalation.policies.domain.page_order import Position, page_order
from services.escalation.response.domain.incident import Incident
from tests.unit.escalation.builders import opened

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def notice(summary: str = "disk full", why: str = "step 1: user ana") -> Notice:
    incident = opened("2024-10-30T12:00").incident
    response = incident.response.model_copy(update={"summary": summary, "service": None})
    incident = Incident(response=response, policy=incident.policy)
    return Notice(
        order=page_order(incident.id, Position(1, 1), "ana", "email", (why,)),
        incident=incident,
        acknowledge_url="https://tocsin.example/a/1",
        resolve_url="https://tocsin.example/a/2",
        console_url="https://tocsin.example/incidents/1",
        trace_id=None,
        at=NOON,
    )
