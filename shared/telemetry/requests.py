"""How long HTTP requests take."""

from http import HTTPMethod
from time import perf_counter

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry.metrics import REQUESTS
from shared.telemetry.recording import measure_immediately

_KNOWN = frozenset(HTTPMethod)


def measure_requests(app: FastAPI) -> None:
    """Measure every request to the routes that the application has now."""
    app.add_middleware(
        _Measured, paths=frozenset(path for route in app.routes if (path := _path(route)))
    )


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
