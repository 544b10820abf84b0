"""Probes and metrics, on a port of their own: it stays inside the cluster, and is answered when the
port that others send to is full.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http.admission import Admission
from shared.http.problems import JsonResponse
from shared.http.server import listen, make_server
from shared.runtime.settings import Settings
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose

_KEEP_ALIVE_SECONDS = 75  # more than the usual interval between two scrapes
_GRACE_SECONDS = 3
_MAX_CONNECTIONS = 64

Readiness = Callable[[Request], Awaitable[Response]]
"""Answers `/readyz`: 200 when the process can do its work, 503 when it cannot."""


@asynccontextmanager
async def serve_probes(settings: Settings, readyz: Readiness) -> AsyncIterator[None]:
    """Serve `/livez`, which depends on nothing, `/readyz`, and `/metrics` (404 when metrics are not
    exposed) inside the block. Raises OSError when the port is taken.
    """
    app = Starlette(
        routes=[Route("/livez", _livez), Route("/readyz", readyz), Route("/metrics", _metrics)]
    )
    server = make_server(
        app, Admission(_MAX_CONNECTIONS), keep_alive=_KEEP_ALIVE_SECONDS, grace=_GRACE_SECONDS
    )
    listening = listen(settings.http_host, settings.probes_port)
    task = asyncio.create_task(server.serve([listening]), name="probes")
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def _livez(_: Request) -> Response:
    return JsonResponse({"status": "ok"})


async def _metrics(request: Request) -> Response:
    data = collect()
    if data is None:
        return Response(status_code=404)
    body, content_type = expose(data, request.headers.get("accept", ""))
    return Response(body, media_type=content_type)
