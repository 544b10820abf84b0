"""The HTTP API: incidents and figures, for programs. It only reads."""

import re
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from services.reporting.figures.domain import DEFINITIONS
from services.reporting.timeline import reads
from services.reporting.timeline.domain.state import known_report
from services.reporting.timeline.domain.story import CONTEXT, Story, tell
from shared.http.app import JsonResponse, Problem
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.runtime.clock import Clock

Status = Literal["open", "reported", "triggered", "acknowledged", "resolved"]
_NUMBER = re.compile(r"(?:INC-)?([0-9]{1,18})", re.IGNORECASE)
_MOST_CHANGES = 20
NO_NUL = r"^[^\x00]*$"
"""Postgres takes every text but one with a NUL in it."""
_REPORTED = {"source", "alerts_firing", "labels", "annotations", "links"}


def parse_reference(text: str) -> UUID | int:
    """An incident's id or number from `INC-1042`, `1042` or a UUID. Raises Problem 400."""
    if number := _NUMBER.fullmatch(text):
        return int(number[1])
    try:
        return UUID(text)
    except ValueError:
        reason = "is neither a number such as INC-1042 nor a UUID"
        raise Problem(
            400, "Invalid request", f"incident: {reason}", field="incident", reason=reason
        ) from None


async def load_story(
    connection: Connection, reference: str, trace_template: str | None, clock: Clock
) -> Story:
    """The story of the incident that is meant. Raises Problem 400 or 404."""
    incident = await reads.load_incident(connection, parse_reference(reference))
    if incident is None:
        raise Problem(404, "Not found", f"there is no incident {reference}", field="incident")
    entries, untold = await reads.list_timeline(connection, incident.incident_id)
    report, changes = known_report(incident), []
    if report and report.service:
        until = (
            incident.response.resolved_at
            if incident.response and incident.response.resolved_at
            else clock()
        )
        since = report.opened_at - CONTEXT
        changes = await reads.list_changes(connection, report.service, since, until, _MOST_CHANGES)
    return tell(incident, entries, untold, changes, trace_template)


def api(database: Database, clock: Clock, trace_template: str | None) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", default_response_class=JsonResponse)

    @router.get("/incidents")
    async def list_incidents(
        status: Status | None = None,
        team: Annotated[str | None, Query(min_length=1, max_length=200, pattern=NO_NUL)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str | None, Query(description="`next` of the page before")] = None,
        synthetic: Annotated[
            bool, Query(description="a canary's incidents in place of real ones")
        ] = False,
    ) -> JsonResponse:
        """The newest incidents first. `next` is null on the last page."""
        async with database.connection() as connection:
            # One more than asked for shows whether there is a next page.
            found = await reads.list_incidents(
                connection, status, team, _before(before), limit + 1, synthetic
            )
        page = [incident.model_dump() for incident in found[:limit]]
        return JsonResponse(
            {"incidents": page, "next": f"INC-{page[-1]['number']}" if len(found) > limit else None}
        )

    @router.get("/incidents/{incident}")
    async def show_incident(incident: str) -> JsonResponse:
        """State, timeline, pages and why, and the trace of one incident, by UUID or INC-number."""
        async with database.snapshot() as connection:
            story = await load_story(connection, incident, trace_template, clock)
        return JsonResponse(_as_json(story))

    @router.get("/metrics")
    async def metrics(days: Annotated[int, Query(ge=1, le=3660)] = 30) -> JsonResponse:
        """MTTA and MTTR over the incidents opened in the last `days`, with their definitions."""
        async with database.connection() as connection:
            figures = await reads.load_figures(connection, clock() - timedelta(days=days), days)
        seconds = {"mtta_seconds": _seconds(figures.mtta), "mttr_seconds": _seconds(figures.mttr)}
        counts = {
            name: value for name, value in asdict(figures).items() if name not in ("mtta", "mttr")
        }
        return JsonResponse({**counts, **seconds, "definitions": DEFINITIONS})

    return router


def _before(text: str | None) -> int | None:
    if text is None:
        return None
    if number := _NUMBER.fullmatch(text):
        return int(number[1])
    reason = "is not a number such as INC-1042"
    raise Problem(400, "Invalid request", f"before: {reason}", field="before", reason=reason)


def _as_json(story: Story) -> dict[str, Any]:
    """The incident's state, with everything else beside it."""
    report = story.report.model_dump(include=_REPORTED) if story.report else {}
    return {
        **story.incident.model_dump(),
        **report,
        "waiting_on": story.waiting_on,
        "runbook": story.runbook,
        "time_to_acknowledge_seconds": _seconds(story.time_to_acknowledge),
        "time_to_resolve_seconds": _seconds(story.time_to_resolve),
        "trace_url": story.trace_url,
        "pages": story.pages,
        "timeline": story.timeline,
        "timeline_left_out": story.untold,
    }


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None
