"""HTTP: applications whose every error is problem+json (RFC 9457), and a bounded reader of bodies."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.events.cloudevents import Malformed
from shared.postgres.errors import UNAVAILABLE

log = logging.getLogger(__name__)
_MAX_BODY = 64 * 1024
BODY_SECONDS = 30.0

PROBLEM: dict[str, Any] = {
    "description": "What is wrong, and how to correct it (RFC 9457). 503 comes with Retry-After: send it again.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "field": {"type": "string", "description": "the part of the request at fault"},
                    "reason": {"type": "string"},
                },
            }
        }
    },
}
"""Every error answer, as OpenAPI describes a response."""


class JsonResponse(JSONResponse):
    """JSON by orjson: UUIDs, times and dataclasses as they are."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content, default=str)


class Problem(Exception):
    """An answer that is an error: HTTP status, what is wrong, how to correct it; `extra` joins the
    JSON body.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers, self.extra = (
            status,
            title,
            detail,
            headers,
            extra,
        )


def unauthorised(hint: str) -> Problem:
    """401; `hint` says what to send as Authorization."""
    return Problem(
        401,
        "Unauthorised",
        f"Authorization: {hint}",
        {"WWW-Authenticate": "Bearer"},
        field="Authorization",
    )


def _answer(error: Problem) -> Response:
    body = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        **error.extra,
    }
    return JsonResponse(body, error.status, error.headers, media_type="application/problem+json")


def create_app(title: str, max_body: int | None = _MAX_BODY) -> FastAPI:
    """An application with problem+json errors and no error that shows its inside.

    It refuses bodies of more than `max_body` bytes; with None its routes bound what they read by
    themselves.
    """
    app = FastAPI(
        title=title, version="1", redoc_url=None, docs_url=None, responses={"default": PROBLEM}
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
    if max_body is not None:
        app.add_middleware(_Bounded, limit=max_body)
    return app


class _Bounded:
    """FastAPI keeps a body whole before it looks at the token of whoever sends it."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._limit
        reading: float | None = asyncio.get_running_loop().time() + BODY_SECONDS

        async def bounded() -> Message:
            nonlocal left, reading
            try:
                async with asyncio.timeout_at(reading):
                    message = await receive()
            except TimeoutError:
                raise _while_reading(_too_slow()) from None
            left -= len(message.get("body", b""))
            reading = reading if message.get("more_body") else None
            if left < 0:
                raise _while_reading(_too_large(self._limit))
            return message

        await self._app(scope, bounded, send)


async def _problem(_: Request, error: Problem) -> Response:
    return _answer(error)


async def _malformed(_: Request, error: Malformed) -> Response:
    return _answer(
        Problem(400, "Invalid request", str(error), field=error.field, reason=error.reason)
    )


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return _answer(
        Problem(
            422, "Invalid request", f"{field}: {first['msg']}", field=field, reason=first["msg"]
        )
    )


async def _http(_: Request, error: HTTPException) -> Response:
    headers = dict(error.headers) if error.headers else None
    return _answer(Problem(error.status_code, str(error.detail), str(error.detail), headers))


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning(
        "answered 503",
        extra={
            "route": getattr(request.scope.get("route"), "path", None),
            "error": type(error).__qualname__,
        },
    )
    return _answer(
        Problem(
            503,
            "Unavailable",
            "the database cannot be reached; send it again",
            {"Retry-After": "5"},
        )
    )


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes; more is refused with 413 before it is read to its end,
    and 408 ends what takes longer than half a minute.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(
            415,
            "Unsupported encoding",
            "Content-Encoding: send the body uncompressed",
            field="Content-Encoding",
        )
    if int(request.headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise _too_slow() from None
    return b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "Too large", f"body: at most {limit} bytes are taken in one request", field="body"
    )


def _too_slow() -> Problem:
    return Problem(
        408,
        "Too slow",
        f"body: send it within {BODY_SECONDS:.0f} seconds",
        {"Connection": "close"},
        field="body",
    )


def _while_reading(problem: Problem) -> HTTPException:
    """The same, as the one kind of error that FastAPI lets through while it reads."""
    return HTTPException(problem.status, problem.detail, problem.headers)


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer`, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def require_token(expected: str) -> Callable[..., Awaitable[None]]:
    """A FastAPI dependency that lets through only the bearer of `expected`."""

    # The scheme only tells OpenAPI; what is sent is compared here.
    async def check(
        request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        if not hmac.compare_digest((bearer(request) or "").encode(), expected.encode()):
            raise unauthorised("send `Bearer <TOCSIN_API_TOKEN>`")

    return check
