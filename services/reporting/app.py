"""Where reporting's objects are built."""

import asyncio
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from services.reporting import NAME
from services.reporting.console.http import console
from services.reporting.console.live import Live
from services.reporting.handlers import PROJECTED, RECORDED, Reporting
from services.reporting.timeline.http import api
from services.reporting.timeline.store import CHANNEL
from services.reporting.traces.backend import Traces
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.topics import REDRIVE
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.postgres.wake import Wake
from shared.runtime.clock import Clock, system_clock
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings

_LINGER_SECONDS = 0.2
_NICENESS = 15  # where processors are short, pages leave first and are reported on later


def build_app(
    database: Database,
    clock: Clock,
    live: Live,
    trace_template: str | None,
    traces: Traces | None = None,
) -> FastAPI:
    """The API, the console and its assets."""
    app = create_app("Tocsin reporting")
    app.include_router(api(database, clock, trace_template))
    app.include_router(console(database, clock, live, trace_template, traces))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "console" / "static"))
    return app


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
    dsn, clock, stop = settings.dsn(NAME), system_clock, asyncio.Event()
    database = Database(dsn, application=f"tocsin-{NAME}")
    wake = Wake(dsn, NAME)
    live = Live(wake.subscribe(CHANNEL), stop)
    reporting = Reporting(clock)
    consumption = Consumption(
        database,
        bootstrap=settings.kafka,
        group=NAME,
        handlers={
            **dict.fromkeys(RECORDED, reporting.record),
            **dict.fromkeys(PROJECTED, reporting.record_and_project),
            REDRIVE: reporting.record_and_redrive,
        },
        clock=clock,
        topic_prefix=settings.topic_prefix,
        linger=_LINGER_SECONDS,  # nobody waits for reporting; larger batches cost less
        instance_id=settings.instance,
    )
    relay = Relay(
        dsn, settings.kafka, NAME, clock, settings.topic_prefix, fenced=True, linger=_LINGER_SECONDS
    )
    traces = Traces(settings.traces_api) if settings.traces_api else None
    app = build_app(database, clock, live, settings.trace_url, traces)
    components: dict[str, Component] = {
        "consumption": consumption,
        "relay": relay,
        "wake": wake,
        "live": live,
    }
    await run_service(NAME, settings, app, database, components, stop, niceness=_NICENESS)
