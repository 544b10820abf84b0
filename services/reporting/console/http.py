"""The console: pages that are complete as the server sends them; JavaScript only keeps them fresh."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.reporting.console.live import Live
from services.reporting.figures.domain import DEFINITIONS
from services.reporting.timeline import reads
from services.reporting.timeline.domain.story import Story
from services.reporting.timeline.domain.words import apart, duration, precise
from services.reporting.timeline.http import NO_NUL, load_story
from services.reporting.traces.backend import NoTrace, Traces
from services.reporting.traces.domain.waterfall import draw
from shared.http.app import Problem
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_MOST_OPEN = 500
_RECENT = timedelta(hours=24)
_DAYS = 30


Page = Callable[..., HTMLResponse]
"""Makes a page from the name of its template, a status, and the template's values."""


def console(
    database: Database, clock: Clock, live: Live, trace_template: str | None, traces: Traces | None
) -> APIRouter:
    """The routes of people."""
    router = APIRouter(include_in_schema=False)
    pages = _environment()

    def page(name: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        html = pages.get_template(name).render(now=clock(), definitions=DEFINITIONS, **values)
        return HTMLResponse(html, status, _HEADERS)

    async def load(incident: str) -> Story:
        async with database.snapshot() as connection:
            return await load_story(connection, incident, trace_template, clock)

    _add_lists(router, page, database, clock)
    _add_incident(router, page, load, traces)

    @router.get("/events")
    async def events() -> Response:
        if live.full:
            raise Problem(
                503,
                "Too many readers",
                "every stream is taken; try again later",
                {"Retry-After": "30"},
            )
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(live.stream(), media_type="text/event-stream", headers=headers)

    return router


def _add_lists(router: APIRouter, page: Page, database: Database, clock: Clock) -> None:
    @router.get("/")
    async def board(
        team: Annotated[str | None, Query(max_length=200, pattern=NO_NUL)] = None,
    ) -> HTMLResponse:
        now, team = clock(), team or None
        async with database.snapshot() as connection:
            values: dict[str, Any] = {
                "incidents": await reads.list_open(connection, team, _MOST_OPEN),
                "teams": await reads.count_open(connection),
                "resolved": await reads.list_resolved(connection, team, 8),
                "changes": await reads.list_changes(connection, None, now - _RECENT, now, 8),
                "figures": await reads.load_figures(connection, now - timedelta(days=_DAYS), _DAYS),
            }
        return page("board.html", team=team, **values)

    @router.get("/requests")
    async def requests() -> HTMLResponse:
        async with database.connection() as connection:
            return page("requests.html", requests=await reads.list_requests(connection, 100))

    @router.get("/canary")
    async def canary() -> HTMLResponse:
        async with database.connection() as connection:
            newest = await reads.list_incidents(connection, None, None, None, 50, synthetic=True)
        return page("canary.html", incidents=newest)


def _add_incident(
    router: APIRouter, page: Page, load: Callable[[str], Awaitable[Story]], traces: Traces | None
) -> None:
    @router.get("/incidents/{incident}")
    async def incident(incident: str) -> HTMLResponse:
        try:
            story = await load(incident)
        except Problem as error:
            return page("problem.html", error.status, title=error.title, detail=error.detail)
        drawn = traces is not None
        return page(
            "incident.html", story=story, incident=story.incident, report=story.report, drawn=drawn
        )

    @router.get("/incidents/{incident}/trace")
    async def trace(incident: str) -> HTMLResponse:
        try:
            if traces is None:
                raise Problem(404, "Not found", "no trace backend is set (TOCSIN_TRACES_API)")
            story = await load(incident)
        except Problem as error:
            return page("problem.html", error.status, title=error.title, detail=error.detail)
        picture, trouble = None, "This incident has no trace yet."
        if trace_id := story.incident.trace_id:
            try:
                picture = await asyncio.to_thread(draw, await traces.load(trace_id))
            except NoTrace as reason:
                trouble = str(reason)
        return page(
            "trace.html", story=story, incident=story.incident, picture=picture, trouble=trouble
        )


def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("services.reporting.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(
        duration=duration, precise=precise, clock=_clock, iso=datetime.isoformat, words=_words
    )
    pages.globals["apart"] = apart
    pages.tests["web_link"] = _is_web_link
    return pages


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_web_link(text: str) -> bool:
    """Senders choose their links; only these are made clickable, all others (`javascript:`) stay
    text.
    """
    try:
        return urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False
