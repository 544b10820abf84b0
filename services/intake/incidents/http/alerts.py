"""The API of incidents: all alerts that one consists of. It only reads."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from services.intake.incidents.domain.incident import Incident, Member
from services.intake.incidents.store.alerts import list_alerts
from services.intake.incidents.store.incidents import load_incident
from shared.events.reference import format_reference, parse_reference
from shared.events.text import shorten
from shared.events.validation import NO_NUL
from shared.http.app import JsonResponse, Problem, require_token
from shared.postgres.database import Database

_HEAD = (
    "incident_id",
    "status",
    "summary",
    "alerts_total",
    "alerts_firing",
    "alerts_unlisted",
    "flapping",
    "acknowledged_by",
)
_CONTENT = ("summary", "severity", "service", "labels", "annotations", "links")


def make_router(database: Database, token: str | None) -> APIRouter:
    """The routes under /v1/incidents, for bearers of the API token. Without a token nobody is let
    in.
    """
    allowed = require_token(token) if token else _refuse
    router = APIRouter(
        prefix="/v1/incidents", dependencies=[Depends(allowed)], default_response_class=JsonResponse
    )

    @router.get("/{incident}/alerts")
    async def show_alerts(
        incident: str,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        after: Annotated[
            str | None, Query(description="`next` of the page before", pattern=NO_NUL)
        ] = None,
    ) -> JsonResponse:
        """The alerts of an incident, by UUID or INC-number, in order of their keys. `next` is null
        on the last page.
        """
        reference = _parse(incident)
        async with database.snapshot() as connection:
            found = await load_incident(connection, reference)
            if found is None:
                detail = f"there is no incident {shorten(incident, 40)}"
                raise Problem(404, "Not found", detail, field="incident")
            # One more than asked for shows whether there is a next page.
            alerts = await list_alerts(connection, found.incident_id, after, limit + 1)
        following = alerts[limit - 1][0] if len(alerts) > limit else None
        return JsonResponse(
            _head(found)
            | {"alerts": [_alert(found, one) for _, one in alerts[:limit]], "next": following}
        )

    return router


async def _refuse() -> None:
    raise Problem(
        403, "Not set up", "intake has no TOCSIN_API_TOKEN: set it to read incidents here"
    )


def _parse(reference: str) -> UUID | int:
    try:
        return parse_reference(reference)
    except ValueError as error:
        detail = f"incident: {error}"
        raise Problem(400, "Invalid request", detail, field="incident") from None


def _head(incident: Incident) -> dict[str, Any]:
    own = {name: getattr(incident, name) for name in _HEAD}
    return {"incident": format_reference(incident.number), **own}


def _alert(incident: Incident, member: Member) -> dict[str, Any]:
    """An alert. One that is an incident of its own says what the incident says."""
    own = {name: getattr(incident, name) for name in _CONTENT}
    return {
        "key": member.name,
        "state": _state(incident, member),
        **own,
        **(member.content or {}),
        "started_at": member.started_at or incident.started_at,
        "changed_at": member.changed_at,
        "ends_at": member.ends_at,
    }


def _state(incident: Incident, member: Member) -> str:
    """`held`: it was resolved, and its incident clears if that lasts."""
    if not member.firing or incident.status != "open":
        return "resolved"
    if member.held:
        return "held"
    return "acknowledged" if member.acknowledged else "firing"
