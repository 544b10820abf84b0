"""The HTTP side of metrics: `/metrics`, and how long requests take."""

from http import HTTPMethod
from time import perf_counter

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry.export import collect
from shared.telemetry.exposition import expose
from shared.telemetry.metrics import REQUESTS
from shared.telemetry.recording import measure_immediately

_KNOWN = frozenset(HTTPMethod)


def add_metrics(app: FastAPI) -> None:
    """Measure every request, and serve `/metrics` (404 when metrics are not exposed)."""
    app.add_route("/metrics", _metrics, include_in_schema=False)
    app.add_middleware(
        _Measured, paths=frozenset(path for route in app.routes if (path := _path(route)))
    )


async def _metrics(request: Request) -> Response:
    data = collect()
    if data is None:
        return Response(status_code=404)
    body, content_type = expose(data, request.headers.get("accept", ""))
    return Response(body, media_type=content_type)


class _Measured:
    """Outside of all other middleware, so that it sees every answer."""

    def __init__(self, app: ASGIApp, paths: frozenset[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status = perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            method = scope["method"] if scope["method"] in _KNOWN else "_OTHER"
            measure_immediately(
                REQUESTS, perf_counter() - began, method, self._route(scope), status
            )

    def _route(self, scope: Scope) -> str:
        # FastAPI says which of its routes it took; a plain one, without variable parts, is its
        # path.
        return _path(scope.get("route")) or (scope["path"] if scope["path"] in self._paths else "")


def _path(route: object) -> str:
    return str(getattr(route, "path", ""))
