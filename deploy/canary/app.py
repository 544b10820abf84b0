"""The canary's composition root: its receiver, its client and its schedule."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web
from starlette.requests import Request
from starlette.responses import Response

from deploy.canary.client import Client
from deploy.canary.metrics import record
from deploy.canary.receiver import MAX_BYTES, PageReceiver
from deploy.canary.round import Canary, Report
from deploy.canary.settings import CanarySettings
from shared.http.problems import JsonResponse
from shared.http.server import listen_or_inherit
from shared.runtime.probes import serve_probes
from shared.telemetry import configure_telemetry, stop_telemetry

log = logging.getLogger(__name__)
_MAX_REQUEST_SECONDS = 10.0
_FIRST_ROUND_DELAY_SECONDS = 10.0  # other services may be starting at the same time


async def run_once(settings: CanarySettings, patience: float) -> Report:
    """Run one round with a receiver that listens meanwhile. OSError when its port is taken."""
    async with _listening(settings, patience) as canary:
        return await _run_round(canary)


async def run_every(settings: CanarySettings, seconds: float, patience: float) -> None:
    """Run a round every `seconds` until SIGTERM or SIGINT. A round that is late delays the next.
    OSError when one of its ports is taken.
    """
    async with serve_probes(settings, _ready), _listening(settings, patience) as canary:
        rounds = asyncio.create_task(_run_rounds(canary, seconds))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, rounds.cancel)
        with suppress(asyncio.CancelledError):
            await rounds


async def _run_rounds(canary: Canary, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + min(seconds, _FIRST_ROUND_DELAY_SECONDS)
    while True:
        await asyncio.sleep(due - loop.time())
        await _run_round(canary)
        due = max(due + seconds, loop.time())


async def _run_round(canary: Canary) -> Report:
    report = await canary.run_round()
    record(report)
    fields = {
        "incident": report.incident,
        "trace_id": report.trace.trace_id,
        "seconds": round(report.seconds, 3),
    }
    fields |= {f"{stage}_seconds": round(seconds, 3) for stage, seconds in report.stages.items()}
    if report.closed_leftover:
        log.warning("closed an incident that an earlier round had left open")
    if report.reason:
        fields |= {"result": report.result, "reason": report.reason}
        log.error("canary round failed", extra=fields)
    else:
        log.info("canary round passed", extra=fields)
    return report


@asynccontextmanager
async def _listening(settings: CanarySettings, patience: float) -> AsyncIterator[Canary]:
    key = settings.required("canary_key")
    receiver = PageReceiver(settings.required("webhook_secret"))
    socket = listen_or_inherit(settings.http_host, settings.receiver_port, settings.http_fd)
    configure_telemetry("canary")
    runner = web.AppRunner(_app(receiver), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, socket).start()
        limit = aiohttp.ClientTimeout(total=min(patience, _MAX_REQUEST_SECONDS))
        cookies = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(timeout=limit, cookie_jar=cookies) as http:
            client = Client(
                http, settings.intake_url.rstrip("/"), settings.console_url.rstrip("/"), key
            )
            yield Canary(client, receiver, settings.canary_name, settings.canary_service, patience)
    finally:
        await runner.cleanup()
        stop_telemetry()


def _app(receiver: PageReceiver) -> web.Application:
    """POST to any path is a page."""
    app = web.Application(client_max_size=MAX_BYTES)

    async def receive(request: web.Request) -> web.Response:
        return web.Response(status=receiver.receive(request.headers, await request.read()))

    app.router.add_post("/{path:.*}", receive)
    return app


async def _ready(_: Request) -> Response:
    """It is ready once it listens: restarting it after a failed round would not help."""
    return JsonResponse({"ready": True})
