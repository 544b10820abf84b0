"""Request bodies: bounded in size and in the time that they take."""

import asyncio

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.problems import Problem

BODY_SECONDS = 30.0


class BoundedBodies:
    """Refuses a body of more than `limit` bytes. FastAPI buffers a body before it authenticates the
    caller, so it is bounded here.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._limit
        deadline: float | None = asyncio.get_running_loop().time() + BODY_SECONDS

        async def bounded() -> Message:
            nonlocal left, deadline
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise _while_reading(_too_slow()) from None
            left -= len(message.get("body", b""))
            deadline = deadline if message.get("more_body") else None
            if left < 0:
                raise _while_reading(_too_large(self._limit))
            return message

        await self._app(scope, bounded, send)


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes; more is refused with 413 before it is read to its end,
    and 408 ends what takes longer than half a minute.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
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
    detail = f"body: at most {limit} bytes are taken in one request"
    return Problem(413, "Too large", detail, field="body")


def _too_slow() -> Problem:
    detail = f"body: send it within {BODY_SECONDS:.0f} seconds"
    return Problem(408, "Too slow", detail, {"Connection": "close"}, field="body")


def _while_reading(problem: Problem) -> HTTPException:
    """The same, as the one kind of error that FastAPI lets through while it reads."""
    return HTTPException(problem.status, problem.detail, problem.headers)
