"""Request bodies: bounded in size and in the time that they take."""

import asyncio

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.events.documents import replace_lone_surrogates
from shared.http.encodings import ENCODINGS, PART_BYTES, Decoder, UnknownEncoding, decoder_of
from shared.http.problems import Problem

BODY_SECONDS = 30.0


class BoundedBodies:
    """Reads a body of at most `limit` bytes before the application does. FastAPI would buffer it
    before it authenticates the caller, without a bound.

    What FastAPI's parser would refuse, half of a surrogate pair, is replaced: no order of a person
    fails because of a truncated emoji.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = False

        async def bounded() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return await self._read(receive)

        await self._app(scope, bounded, send)

    async def _read(self, receive: Receive) -> Message:
        body, more = b"", True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":  # the caller has gone
                        return message
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._limit:
                        raise _while_reading(_too_large(self._limit))
        except TimeoutError:
            raise _while_reading(_too_slow()) from None
        return {"type": "http.request", "body": replace_lone_surrogates(body), "more_body": False}


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes; more is refused with 413 before it is read to its end,
    and 408 ends what takes longer than half a minute.

    A body in gzip or deflate is inflated while it comes. The limit is that of what it becomes, so a
    small body that would become a huge one is refused once the limit is passed.
    """
    decoder = _decoder(request)
    if int(request.headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                for part in decoder.decode(chunk):
                    size += len(part)
                    if size > limit:
                        raise _too_large(limit)
                    parts.append(part)
                    await _let_others_work(part)
            decoder.finish()
    except TimeoutError:
        raise _too_slow() from None
    return b"".join(parts)


def _decoder(request: Request) -> Decoder:
    encodings = ",".join(request.headers.getlist("content-encoding"))
    try:
        return decoder_of(encodings)
    except UnknownEncoding:
        raise Problem(
            415,
            "Unsupported encoding",
            f"Content-Encoding: send {', '.join(ENCODINGS)}, or the body as it is",
            {"Accept-Encoding": ", ".join(ENCODINGS)},
            field="Content-Encoding",
        ) from None


async def _let_others_work(part: bytes) -> None:
    """Between two parts of a body that is inflated, each as large as a part may be."""
    if len(part) == PART_BYTES:
        await asyncio.sleep(0)


def _too_large(limit: int) -> Problem:
    detail = f"body: at most {limit} bytes are taken in one request"
    return Problem(413, "Too large", detail, field="body")


def _too_slow() -> Problem:
    detail = f"body: send it within {BODY_SECONDS:.0f} seconds"
    return Problem(408, "Too slow", detail, {"Connection": "close"}, field="body")


def _while_reading(problem: Problem) -> HTTPException:
    """The same, as the one kind of error that FastAPI lets through while it reads."""
    return HTTPException(problem.status, problem.detail, problem.headers)
