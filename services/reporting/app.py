"""Composition root of reporting: the only place where its objects are built."""

import asyncio
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from services.reporting import NAME
from services.reporting.console.http import make_router as console_router
from services.reporting.console.live import Live
from services.reporting.figures.http import make_router as figures_router
from services.reporting.handlers import Handlers
from services.reporting.retention.policy import periods
from services.reporting.retention.store import AGING
from services.reporting.timeline.http import make_router as incidents_router
from services.reporting.timeline.store.incidents import CHANNEL
from services.reporting.topics import FENCED, PROJECTED, RECORDED
from services.reporting.traces.trace_backend import TraceBackend
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.topics import REDRIVE
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.postgres.wake import Wake
from shared.runtime.clock import Clock
from shared.runtime.retention import start_retention
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings

_LINGER_SECONDS = 0.2
_NICENESS = 15  # where processors are short, paging comes first


def build_app(
    database: Database,
    clock: Clock,
    live: Live,
    trace_template: str | None,
    traces: TraceBackend | None = None,
) -> FastAPI:
    """The API, the console and its assets."""
    app = create_app("Tocsin reporting")
    app.include_router(incidents_router(database, clock, trace_template))
    app.include_router(figures_router(database, clock))
    app.include_router(console_router(database, clock, live, trace_template, traces))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "console" / "static"))
    return app


async def run(settings: Settings) -> None:
    """Serve until SIGTERM."""
    dsn, stop = settings.dsn(NAME), asyncio.Event()
    database = Database.of_service(dsn, NAME)
    clock = database.clock
    wake = Wake(dsn, NAME)
    live = Live(wake.subscribe(CHANNEL), stop, settings.streams_per_client)
    handlers = Handlers(clock)
    cluster = settings.kafka_cluster(NAME)
    consumption = Consumption(
        database,
        cluster,
        group=NAME,
        handlers={
            **dict.fromkeys(RECORDED, handlers.record),
            **dict.fromkeys(PROJECTED, handlers.record_and_project),
            REDRIVE: handlers.record_and_redrive,
        },
        clock=clock,
        linger=_LINGER_SECONDS,  # nobody waits for reporting, and larger batches cost less
        instance_id=settings.instance,
    )
    relay = Relay(dsn, cluster, NAME, clock, fenced=FENCED, linger=_LINGER_SECONDS)
    traces = TraceBackend(settings.traces_api) if settings.traces_api else None
    app = build_app(database, clock, live, settings.trace_url, traces)
    components: dict[str, Component] = {
        "consumption": consumption,
        "relay": relay,
        "wake": wake,
        "live": live,
        **await start_retention(NAME, settings, database, clock, AGING, periods),
    }
    await run_service(NAME, settings, app, database, components, stop, niceness=_NICENESS)
