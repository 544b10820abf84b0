"""The HTTP API of incidents, for programs. It only reads."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query

from services.reporting.timeline.domain.filters import StatusFilter
from services.reporting.timeline.domain.state import newest_report
from services.reporting.timeline.domain.view import CONTEXT, IncidentView, PageView, make_view
from services.reporting.timeline.store.changes import list_changes
from services.reporting.timeline.store.entries import list_timeline
from services.reporting.timeline.store.incidents import load_incident
from services.reporting.timeline.store.lists import list_incidents
from shared.events.reference import (
    NUMBER_PATTERN,
    REFERENCE_PATTERN,
    format_reference,
    parse_reference,
)
from shared.http.app import JsonResponse, Problem
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_MAX_CHANGES = 20
NO_NUL = r"^[^\x00]*$"
"""Postgres takes every text but one with a NUL in it."""
# Only for the document: what is written otherwise is answered in words of this module.
_NUMBERED = {"pattern": NUMBER_PATTERN}
_REFERENCE = {"pattern": REFERENCE_PATTERN}
_REPORTED = {
    "source",
    "alerts_firing",
    "alerts_total",
    "alerts_unlisted",
    "alerts",
    "flapping",
    "labels",
    "annotations",
    "links",
}


def make_router(database: Database, clock: Clock, trace_template: str | None) -> APIRouter:
    """The routes under /v1/incidents."""
    router = APIRouter(prefix="/v1", default_response_class=JsonResponse)

    @router.get("/incidents")
    async def list_newest(
        status: StatusFilter = StatusFilter.ALL,
        team: Annotated[str | None, Query(min_length=1, max_length=200, pattern=NO_NUL)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[
            str | None, Query(description="`next` of the page before", json_schema_extra=_NUMBERED)
        ] = None,
        synthetic: Annotated[
            bool, Query(description="a canary's incidents in place of real ones")
        ] = False,
    ) -> JsonResponse:
        """The newest incidents first. `next` is null on the last page."""
        number = _number(before) if before is not None else None
        async with database.connection() as connection:
            # One more than asked for shows whether there is a next page.
            found = await list_incidents(connection, status, team, number, limit + 1, synthetic)
        page = [incident.model_dump() for incident in found[:limit]]
        following = format_reference(page[-1]["number"]) if len(found) > limit else None
        return JsonResponse({"incidents": page, "next": following})

    @router.get("/incidents/{incident}")
    async def show_incident(
        incident: Annotated[str, Path(json_schema_extra=_REFERENCE)],
    ) -> JsonResponse:
        """State, timeline, pages and why, and the trace of one incident, by UUID or INC-number."""
        async with database.snapshot() as connection:
            view = await load_view(connection, incident, trace_template, clock)
        return JsonResponse(_as_json(view))

    return router


async def load_view(
    connection: Connection, reference: str, trace_template: str | None, clock: Clock
) -> IncidentView:
    """The incident that is meant, with all that is known of it. Raises Problem 400 or 404."""
    incident = await load_incident(connection, _reference(reference, "incident"))
    if incident is None:
        raise Problem(404, "Not found", f"there is no incident {reference}", field="incident")
    entries, omitted = await list_timeline(connection, incident.incident_id)
    report, changes = newest_report(incident), []
    if report and report.service:
        response = incident.response
        until = response.resolved_at if response and response.resolved_at else clock()
        since = report.opened_at - CONTEXT
        changes = await list_changes(connection, report.service, since, until, _MAX_CHANGES)
    return make_view(incident, entries, omitted, changes, trace_template)


def _reference(text: str, field: str) -> UUID | int:
    try:
        return parse_reference(text)
    except ValueError as error:
        raise _invalid(field, str(error)) from None


def _number(text: str) -> int:
    if isinstance(reference := _reference(text, "before"), int):
        return reference
    raise _invalid("before", "is not a number such as INC-1042")


def _invalid(field: str, reason: str) -> Problem:
    return Problem(400, "Invalid request", f"{field}: {reason}", field=field, reason=reason)


def _as_json(view: IncidentView) -> dict[str, Any]:
    """The incident's state, with everything else beside it."""
    report = view.report.model_dump(include=_REPORTED) if view.report else {}
    at_sender = view.report.acknowledged_by if view.report else None
    return {
        **view.incident.model_dump(),
        **report,
        "acknowledged_at_source_by": at_sender,
        "priority_reasons": view.reasons,
        "waiting_on": view.waiting_on,
        "runbook": view.runbook,
        "time_to_acknowledge_seconds": _seconds(view.time_to_acknowledge),
        "time_to_resolve_seconds": _seconds(view.time_to_resolve),
        "trace_url": view.trace_url,
        "pages": [_page_as_json(page) for page in view.pages],
        "timeline": view.timeline,
        "timeline_left_out": view.omitted,
    }


def _page_as_json(view: PageView) -> dict[str, Any]:
    return {
        **view.page.model_dump(exclude={"attempt_key"}),
        "outcome": view.outcome,
        "sent_at": view.sent_at,
        "error": view.error,
    }


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None
