"""HTTP applications whose every error is problem+json (RFC 9457)."""

import logging
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.events.cloudevents import Malformed
from shared.events.validation import plain_reason
from shared.http.auth import bearer, require_token, unauthorised
from shared.http.bodies import BoundedBodies, read_body
from shared.http.problems import PROBLEM, JsonResponse, Problem, problem_response
from shared.postgres.errors import UNAVAILABLE

__all__ = [
    "PROBLEM",
    "JsonResponse",
    "Problem",
    "bearer",
    "create_app",
    "malformed_problem",
    "read_body",
    "require_token",
    "unauthorised",
    "unavailable_problem",
]

log = logging.getLogger(__name__)
_MAX_BODY = 64 * 1024


def create_app(title: str, max_body: int | None = _MAX_BODY) -> FastAPI:
    """An application with problem+json errors and no error that shows its inside.

    It refuses bodies of more than `max_body` bytes; with None its routes bound what they read by
    themselves. A path with a slash at its end is the same route; nothing is redirected.
    """
    app = FastAPI(
        title=title,
        version="1",
        redoc_url=None,
        docs_url=None,
        openapi_url=None,  # `_description` serves it
        responses={"default": PROBLEM},
        # A redirect would name the scheme and host of this side of a proxy, and a client that
        # follows it would send its key there.
        redirect_slashes=False,
    )
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        Problem: _problem,
        Malformed: _malformed,
        RequestValidationError: _invalid,
        StarletteHTTPException: _http,
    }
    for kind in UNAVAILABLE:
        handlers[kind] = _unavailable
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)
    app.add_route("/openapi.json", _description(app), include_in_schema=False)
    if max_body is not None:
        app.add_middleware(BoundedBodies, limit=max_body)
    app.add_middleware(_OnePathEach)
    return app


def _description(app: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    """Answers with the OpenAPI document, which is made once: it takes as long as many requests."""

    @cache
    def document() -> bytes:
        return orjson.dumps(app.openapi())

    async def describe(_: Request) -> Response:
        return Response(document(), media_type="application/json")

    return describe


class _OnePathEach:
    """Takes one slash off the end of a path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # In place: what measures requests, outside of this, reads the path and the route later.
        if scope["type"] == "http" and scope["path"] != "/":
            scope["path"] = scope["path"].removesuffix("/")
        await self._app(scope, receive, send)


async def _problem(_: Request, error: Problem) -> Response:
    return problem_response(error)


def malformed_problem(error: Malformed) -> Problem:
    """The refusal of a request that can never be taken."""
    return Problem(400, "Invalid request", str(error), field=error.field, reason=error.reason)


async def _malformed(_: Request, error: Malformed) -> Response:
    return problem_response(malformed_problem(error))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    place, *inner = map(str, first["loc"])
    field = ".".join(inner) if inner and first["type"] != "json_invalid" else place
    reason = plain_reason(first)
    if field == "body" and "json" not in request.headers.get("content-type", ""):
        reason = "send JSON with Content-Type: application/json"
    return problem_response(
        Problem(422, "Invalid request", f"{field}: {reason}", field=field, reason=reason)
    )


async def _http(_: Request, error: HTTPException) -> Response:
    headers = dict(error.headers) if error.headers else None
    detail = str(error.detail)
    if isinstance(error.__cause__, UnicodeDecodeError | RecursionError):
        reason = "is not JSON in UTF-8, or is nested too deeply"
        problem = Problem(400, "Invalid request", f"body: {reason}", field="body", reason=reason)
        return problem_response(problem)
    return problem_response(Problem(error.status_code, detail, detail, headers))


def unavailable_problem(request: Request, error: BaseException) -> Problem:
    """The refusal while Postgres is away, which is logged."""
    route = getattr(request.scope.get("route"), "path", None)
    log.warning("answered 503", extra={"route": route, "error": type(error).__qualname__})
    detail = "the database cannot be reached; send it again"
    return Problem(503, "Unavailable", detail, {"Retry-After": "5"})


async def _unavailable(request: Request, error: Exception) -> Response:
    return problem_response(unavailable_problem(request, error))
