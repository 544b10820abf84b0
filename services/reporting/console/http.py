"""The console's routes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.reporting.console.live import Live
from services.reporting.console.pages import Pages
from services.reporting.figures.store import load_figures
from services.reporting.timeline.domain.filters import StatusFilter
from services.reporting.timeline.domain.view import IncidentView
from services.reporting.timeline.http import NO_NUL, load_view
from services.reporting.timeline.store.advisories import list_advisories
from services.reporting.timeline.store.changes import list_changes
from services.reporting.timeline.store.lists import (
    count_open,
    list_incidents,
    list_open,
    list_resolved,
)
from services.reporting.timeline.store.requests import list_requests
from services.reporting.traces.domain.waterfall import Waterfall, draw
from services.reporting.traces.trace_backend import TraceBackend, TraceUnavailable
from shared.http.app import Problem
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_MAX_OPEN = 500
_RECENT = timedelta(hours=24)
_DAYS = 30


def make_router(
    database: Database,
    clock: Clock,
    live: Live,
    trace_template: str | None,
    traces: TraceBackend | None,
) -> APIRouter:
    """The routes of people."""
    router = APIRouter(include_in_schema=False)
    pages = Pages(clock)

    async def load(incident: str) -> IncidentView:
        async with database.snapshot() as connection:
            return await load_view(connection, incident, trace_template, clock)

    _add_lists(router, pages, database, clock)
    _add_incident(router, pages, load, traces)

    @router.get("/events")
    async def events(request: Request) -> Response:
        return live.open(request.client.host if request.client else "")

    return router


def _add_lists(router: APIRouter, pages: Pages, database: Database, clock: Clock) -> None:
    @router.get("/")
    async def board(
        team: Annotated[str | None, Query(max_length=200, pattern=NO_NUL)] = None,
    ) -> HTMLResponse:
        now, team = clock(), team or None
        async with database.snapshot() as connection:
            values: dict[str, Any] = {
                "incidents": await list_open(connection, team, _MAX_OPEN),
                "teams": await count_open(connection),
                "resolved": await list_resolved(connection, team, 8),
                "changes": await list_changes(connection, None, now - _RECENT, now, 8),
                "figures": await load_figures(connection, now - timedelta(days=_DAYS), _DAYS),
            }
        return pages.render("board.html", team=team, **values)

    @router.get("/requests")
    async def requests() -> HTMLResponse:
        async with database.connection() as connection:
            return pages.render("requests.html", requests=await list_requests(connection, 100))

    @router.get("/advisories")
    async def advisories() -> HTMLResponse:
        async with database.connection() as connection:
            newest = await list_advisories(connection, 100)
        return pages.render("advisories.html", advisories=newest)

    @router.get("/canary")
    async def canary() -> HTMLResponse:
        async with database.connection() as connection:
            newest = await list_incidents(
                connection, StatusFilter.ALL, None, None, 50, synthetic=True
            )
        return pages.render("canary.html", incidents=newest)


def _add_incident(
    router: APIRouter,
    pages: Pages,
    load: Callable[[str], Awaitable[IncidentView]],
    traces: TraceBackend | None,
) -> None:
    @router.get("/incidents/{incident}")
    async def incident(incident: str) -> HTMLResponse:
        try:
            view = await load(incident)
        except Problem as error:
            return pages.problem(error)
        return pages.render("incident.html", view=view, has_traces=traces is not None)

    @router.get("/incidents/{incident}/trace")
    async def trace(incident: str) -> HTMLResponse:
        try:
            if traces is None:
                raise Problem(404, "Not found", "no trace backend is set (TOCSIN_TRACES_API)")
            view = await load(incident)
        except Problem as error:
            return pages.problem(error)
        picture, reason = await _draw(traces, view.incident.trace_id)
        return pages.render("trace.html", view=view, picture=picture, reason=reason)


async def _draw(traces: TraceBackend, trace_id: str | None) -> tuple[Waterfall | None, str]:
    """The picture of a trace, or why there is none."""
    if not trace_id:
        return None, "This incident has no trace yet."
    try:
        return await asyncio.to_thread(draw, await traces.load(trace_id)), ""
    except TraceUnavailable as reason:
        return None, str(reason)
