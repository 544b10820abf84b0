"""Server-sent events: each reader is notified of changes, and there are only so many readers."""

import aiohttp

from tests.support.feeding import Feed
from tests.support.outage import Outage
from tests.support.running import eventually


async def test_streams_send_changes_and_are_bounded(
    feed: Feed, console: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{console}/events") as first, http.get(f"{console}/events") as second:
        for stream in (first, second):
            await stream.content.readuntil(b"event: changed\ndata: -\n\n")
        async with http.get(f"{console}/events") as third:
            assert (third.status, third.headers["Retry-After"]) == (503, "30")
        await feed.events(Outage().reported())
        for stream in (first, second):
            assert await stream.content.readuntil(b"event: changed\ndata: -\n\n")

    async def is_free() -> bool:
        async with http.get(f"{console}/events") as again:
            return again.status == 200

    await eventually("a reader that left makes room", is_free)
