"""Server-sent events: each reader is notified of changes, and there are only so many readers."""

import asyncio

import aiohttp

from tests.support.feeding import Feed
from tests.support.outage import Outage
from tests.support.running import eventually


def from_address(address: str) -> aiohttp.ClientSession:
    """A client at another address of this machine."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0)))


async def test_a_crowd_that_comes_at_once_gets_no_more_streams_than_one_by_one(
    console: str, http: aiohttp.ClientSession
) -> None:
    answers = await asyncio.gather(*(http.get(f"{console}/events") for _ in range(30)))
    assert sorted(answer.status for answer in answers) == [200] * 2 + [429] * 28
    for answer in answers:
        answer.close()


async def test_streams_send_changes_and_are_bounded(
    feed: Feed, console: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{console}/events") as first, http.get(f"{console}/events") as second:
        for stream in (first, second):
            await stream.content.readuntil(b"event: changed\ndata: -\n\n")
        async with http.get(f"{console}/events") as third:
            assert (third.status, third.headers["Retry-After"]) == (429, "30")
        async with (
            from_address("127.0.0.2") as other,
            from_address("127.0.0.3") as late,
            other.get(f"{console}/events") as third,
            late.get(f"{console}/events") as fourth,
        ):
            assert third.status == 200
            assert (fourth.status, fourth.headers["Retry-After"]) == (503, "30")
        await feed.events(Outage().reported())
        for stream in (first, second):
            assert await stream.content.readuntil(b"event: changed\ndata: -\n\n")

    async def is_free() -> bool:
        async with http.get(f"{console}/events") as again:
            return again.status == 200

    await eventually("a reader that left makes room", is_free)
