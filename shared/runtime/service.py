"""Runs one service: its HTTP side, its loops, its health, and a graceful stop."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from shared.http.protocol import BoundedHttp
from shared.http.server import Server, listen_or_inherit
from shared.postgres.database import Database
from shared.postgres.relay import relay_role
from shared.postgres.watches import ClockWatch, LeaderWatch
from shared.runtime.clock import system_clock
from shared.runtime.descriptors import connections_within, raise_descriptor_limit
from shared.runtime.gauges import GaugeQuery, Gauges
from shared.runtime.health import Component, add_health
from shared.runtime.presence import Presence
from shared.runtime.settings import Settings
from shared.telemetry import configure_telemetry, stop_telemetry
from shared.telemetry.requests import add_metrics

__all__ = ["Component", "run_service"]

log = logging.getLogger(__name__)
_GRACE_SECONDS = 10


async def run_service(
    name: str,
    settings: Settings,
    app: FastAPI,
    database: Database,
    components: Mapping[str, Component],
    stop: asyncio.Event | None = None,
    gauge_queries: Sequence[GaugeQuery] = (),
    niceness: int = 0,
) -> None:
    """Serve until SIGTERM or SIGINT: then stop taking requests, finish those in flight, end the
    loops, close up.

    `stop` is set when the stop begins, for answers that would never end by themselves (streams).
    `gauge_queries` read the levels of the service's own tables. `niceness` is how far the process
    gives way to others where processors are short (see nice(2)).
    """
    os.nice(niceness)
    configure_telemetry(name)
    components = {**components, **_watches(name, database)}
    add_health(app, database, components)
    add_metrics(app)
    gauges = Gauges(database, components, gauge_queries, database.clock, settings.gauges_seconds)
    presence = Presence(database, components, settings.instance, system_clock)
    components = {**components, "gauges": gauges, "presence": presence}
    stop = stop or asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    server = _server(app, settings, raise_descriptor_limit())
    listening = listen_or_inherit(settings.http_host, settings.http_port, settings.http_fd)
    log.info("listening", extra={"port": listening.getsockname()[1]})
    _collect_garbage_seldom()
    try:
        await _run_until(stop, server, listening, components)
    finally:
        await database.close()
        stop_telemetry()
        log.info("stopped")


def _watches(name: str, database: Database) -> Mapping[str, Component]:
    return {"clock": ClockWatch(database), "leadership": LeaderWatch(database, relay_role(name))}


async def _run_until(
    stop: asyncio.Event,
    server: Server,
    listening: socket.socket,
    components: Mapping[str, Component],
) -> None:
    """Run the server and the components. Requests in flight may need the loops (group commit), so
    the server ends first.
    """
    tasks = {
        label: asyncio.create_task(component.run(), name=label)
        for label, component in components.items()
    }
    http = asyncio.create_task(server.serve([listening]), name="http")
    try:
        await _until(stop, [*tasks.values(), http])
    finally:
        stop.set()
        server.should_exit = True
        with contextlib.suppress(BaseException):
            await asyncio.wait_for(asyncio.shield(http), _GRACE_SECONDS)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


def _server(app: FastAPI, settings: Settings, descriptors: int) -> Server:
    protocol: Any = partial(BoundedHttp, max_connections=connections_within(descriptors))
    return Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=settings.http_keep_alive,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def _collect_garbage_seldom() -> None:
    """What was imported lives as long as the process, and a batch makes thousands of objects that
    form no cycles: the collector's passes over them took a tenth of the CPU.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def _until(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the stop. Raises SystemExit when a task ends before, which none should."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done - {stopping}:
        log.critical(
            "a part of the service ended by itself",
            extra={"part": task.get_name()},
            exc_info=task.exception(),
        )
        raise SystemExit(1)
