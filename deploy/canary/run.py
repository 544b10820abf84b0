"""Where the canary's objects are built: its receiver, its way out, and its beat."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web

from deploy.canary.front import Front
from deploy.canary.metrics import count
from deploy.canary.receiver import MAX_BYTES, Pages
from deploy.canary.round import Canary, Report
from deploy.canary.settings import CanarySettings
from shared.http.server import listen_or_inherit
from shared.telemetry import configure_telemetry, stop_telemetry
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose

log = logging.getLogger(__name__)
_LONGEST_CALL_SECONDS = 10.0
_SETTLE_SECONDS = 10.0


async def run_once(settings: CanarySettings, patience: float) -> Report:
    """One round, from a receiver that listens for as long as it takes. OSError when its port is
    taken.
    """
    async with _listening(settings, patience) as canary:
        return await _go_round(canary)


async def run_every(settings: CanarySettings, seconds: float, patience: float) -> None:
    """A round every so many seconds until SIGTERM or SIGINT, the first of them soon. A late one
    delays the next.
    """
    async with _listening(settings, patience) as canary:
        beating = asyncio.create_task(_beat(canary, seconds))
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, beating.cancel)
        with suppress(asyncio.CancelledError):
            await beating


async def _beat(canary: Canary, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + min(
        seconds, _SETTLE_SECONDS
    )  # so long, since much may just have been started with it
    while True:
        await asyncio.sleep(due - loop.time())
        await _go_round(canary)
        due = max(due + seconds, loop.time())


async def _go_round(canary: Canary) -> Report:
    report = await canary.go_round()
    count(report)
    facts = {
        "incident": report.incident,
        "trace_id": report.trace.trace_id,
        "seconds": round(report.seconds, 3),
    }
    facts |= {f"{stage}_seconds": round(seconds, 3) for stage, seconds in report.stages.items()}
    if report.ended_leftover:
        log.warning("an earlier round had left an incident open; it is ended")
    if report.reason:
        log.error(
            "the canary's round failed",
            extra={"result": report.result, "reason": report.reason, **facts},
        )
    else:
        log.info("the canary's round passed", extra=facts)
    return report


@asynccontextmanager
async def _listening(settings: CanarySettings, patience: float) -> AsyncIterator[Canary]:
    key, pages = settings.required("canary_key"), Pages(settings.required("webhook_secret"))
    socket = listen_or_inherit(settings.http_host, settings.receiver_port, settings.http_fd)
    configure_telemetry("canary")
    runner = web.AppRunner(_app(pages), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, socket).start()
        call = aiohttp.ClientTimeout(total=min(patience, _LONGEST_CALL_SECONDS))
        async with aiohttp.ClientSession(timeout=call, cookie_jar=aiohttp.DummyCookieJar()) as http:
            front = Front(
                http, settings.intake_url.rstrip("/"), settings.console_url.rstrip("/"), key
            )
            yield Canary(front, pages, settings.canary_name, settings.canary_service, patience)
    finally:
        await runner.cleanup()
        stop_telemetry()


def _app(pages: Pages) -> web.Application:
    """POST to any path is a page. It is ready when it listens: a round that fails is no reason to
    start it anew.
    """
    app = web.Application(client_max_size=MAX_BYTES)

    async def take(request: web.Request) -> web.Response:
        return web.Response(status=pages.take(request.headers, await request.read()))

    async def metrics(request: web.Request) -> web.Response:
        if (data := collect()) is None:
            raise web.HTTPNotFound
        body, content_type = expose(data, request.headers.get("accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app.router.add_get("/livez", _well)
    app.router.add_get("/readyz", _well)
    app.router.add_get("/metrics", metrics)
    app.router.add_post("/{path:.*}", take)
    return app


async def _well(_: web.Request) -> web.Response:
    return web.json_response({"ready": True})
