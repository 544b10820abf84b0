"""An incident's trace in the console: drawn from the backend that has it, or a line that says why
it is not.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from services.reporting.app import build_app
from services.reporting.console.live import Live
from services.reporting.traces.trace_backend import TraceBackend
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.browser import LEAST_CONTRAST, Browser
from tests.support.console import HOSTILE, needs_browser, page
from tests.support.feeding import Feed
from tests.support.http import served
from tests.support.outage import Outage
from tests.support.running import eventually, free_port
from tests.support.trace_backend import Json, span_document, trace_backend, trace_document
from tests.support.trace_backend import TraceBackend as FakeBackend

SECOND = 1_000_000
LATE = 30 * SECOND


def way(*more: Json) -> Json:
    """An incident that was acknowledged 30 s later, its first page refused."""
    start = 1_772_532_000 * SECOND
    return trace_document(
        span_document(1, None, "checkout", "probe", start, 8_000),
        span_document(
            2,
            1,
            "tocsin-intake",
            "POST /v1/signals",
            start + 1_000,
            6_500,
            {"http.route": "/v1/signals"},
        ),
        span_document(3, 2, "tocsin-intake", "report incident", start + 2_000, 2_100),
        span_document(
            4,
            3,
            "tocsin-triage",
            "triage incident",
            start + 14_000,
            1_200,
            {"tocsin.priority": "P1"},
        ),
        span_document(5, 4, "tocsin-escalation", "escalate", start + 24_000, 1_900),
        span_document(
            6, 5, "tocsin-escalation", "page webhook", start + 29_000, 12_000, {"error": True}
        ),
        span_document(7, 5, "tocsin-escalation", "page email", start + 42_000, 31_000),
        span_document(8, 5, "tocsin-escalation", "acknowledge", start + LATE, 2_700),
        *more,
    )


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    async with trace_backend() as listening:
        listening.answer = way()
        yield listening


@pytest.fixture
def patience() -> float:
    """Seconds, with a backend that answers at once, however busy the machine is."""
    return 30


@pytest.fixture
async def console(
    reporting: Database, feed: Feed, backend: FakeBackend, patience: float
) -> AsyncIterator[str]:
    """The address of INC-1042 in a console that asks `backend`."""
    outage = Outage(opened=system_clock() - timedelta(minutes=10))
    await feed.events(
        outage.reported(),
        outage.triaged(),
        outage.started(),
        outage.paged(0.1),
        outage.acknowledged(0.5),
    )
    traces = TraceBackend(backend.url, timeout_seconds=patience, max_bytes=1024 * 1024)
    live = Live(asyncio.Event(), asyncio.Event(), 9)
    async with served(
        build_app(reporting, system_clock, live, "http://traces/{trace_id}", traces)
    ) as address:
        yield f"{address}/incidents/INC-1042"


@needs_browser
async def test_an_incidents_page_shows_its_trace(
    console: str, backend: FakeBackend, browser: Browser
) -> None:
    await browser.resize(1280, 900)
    await browser.open(console)
    await eventually(
        "it is drawn", lambda: browser.value("document.querySelectorAll('.spans li').length === 8")
    )
    drawn = await browser.text(".trace")
    assert "8 spans over 30 s" in drawn
    assert "1 failed" in drawn
    assert "page webhook tocsin-escalation failed" in " ".join(drawn.split())
    assert await browser.value("document.querySelector('.axis text').textContent") == "30 s"
    # What lasts for milliseconds is seen beside a wait of half a minute.
    assert await browser.value(_NARROWEST_BAR) >= 4
    await browser.value("document.querySelector('#span-0000000000000004 summary').click()")
    assert "tocsin.priority\nP1" in await browser.text("#span-0000000000000004 dl")
    assert "report incident of tocsin-intake" in await browser.text("#span-0000000000000004 dl")
    assert len(set(backend.asked)) == 1
    assert len(backend.asked[0]) == 32
    assert browser.complaints == []


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
async def test_bars_are_as_wide_as_their_spans_are_long(
    console: str, backend: FakeBackend, browser: Browser, width: int
) -> None:
    """A span of 368 µs after a wait, one of 20 ms before it; a mark is narrower than a bar."""
    start = 1_772_532_000 * SECOND
    lengths = {"page": 20_000, "retry": 5_000, "acknowledge": 368, "note": 40}
    spans = [
        span_document(number, None, "escalation", name, start + number * LATE, length)
        for number, (name, length) in enumerate(lengths.items())
    ]
    backend.answer = trace_document(*spans)
    await browser.resize(width, 900)
    await browser.open(f"{console}/trace")
    page, retry, acknowledge, note = await browser.value(_BAR_WIDTHS)
    assert page / retry == pytest.approx(4, rel=0.01)
    assert page / acknowledge == pytest.approx(20_000 / 368, rel=0.05)
    assert note <= acknowledge
    assert await browser.value("document.querySelectorAll('.spans .mark').length") == 1


@needs_browser
async def test_a_trace_is_drawn_anew_without_closing_what_is_open(
    console: str, backend: FakeBackend, browser: Browser
) -> None:
    await browser.open(console)
    await eventually(
        "it is drawn", lambda: browser.value("document.querySelectorAll('.spans li').length === 8")
    )
    await browser.value("document.querySelector('#span-0000000000000008 summary').click()")
    await browser.value("document.querySelector('#span-0000000000000007 summary').focus()")
    backend.answer = way(
        span_document(9, 8, "tocsin-escalation", "resolve", 1_772_532_900 * SECOND, 3_000)
    )
    await browser.value("draw()")
    assert await browser.value("document.querySelectorAll('.spans li').length") == 9
    assert await browser.value(
        "[...document.querySelectorAll('.spans [open]')].map((one) => one.id).join()"
    ) == ("span-0000000000000008")
    assert await browser.value("document.activeElement.parentElement.id") == "span-0000000000000007"
    # A backend that went away takes no picture with it, and says that it did.
    backend.answer = gone
    await browser.value("draw()")
    assert await browser.value("document.querySelectorAll('.spans li').length") == 9
    assert "answered HTTP 500" in await browser.text(".trace")
    assert browser.complaints == []


@needs_browser
async def test_hostile_words_of_a_trace_stay_words(
    console: str, backend: FakeBackend, browser: Browser
) -> None:
    tags = {HOSTILE: HOSTILE, "javascript:window.hurt = 1": "javascript:window.hurt = 1"}
    backend.answer = trace_document(span_document(1, None, HOSTILE, HOSTILE, 5, 5, tags))
    await browser.open(f"{console}/trace")
    await browser.value("document.querySelector('.spans summary').click()")
    assert (await browser.text()).count(HOSTILE) == 5, "name, service twice, attribute and value"
    assert (
        await browser.value("document.querySelectorAll('main script, main img, [onerror]').length")
        == 0
    )
    assert (
        await browser.value(
            "[...document.links].filter((a) => a.protocol === 'javascript:').length"
        )
        == 0
    )
    assert await browser.value("window.hurt") is None
    assert browser.complaints == []


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_trace_fits_a_phone_and_can_be_read(
    console: str, backend: FakeBackend, browser: Browser, scheme: str
) -> None:
    long = [
        span_document(n, n - 1, "x" * 200, "y" * 200, n, 5, {"z" * 200: "z" * 400})
        for n in range(10, 30)
    ]
    backend.answer = way(*long)
    await browser.resize(390, 800)
    await browser.open(f"{console}/trace", prefers_color_scheme=scheme)
    await browser.value(
        "document.querySelectorAll('.spans details').forEach((one) => (one.open = true))"
    )
    assert await browser.value("document.documentElement.scrollWidth") <= 390
    assert await browser.value(LEAST_CONTRAST) >= 4.5


async def test_a_trace_is_a_page_of_its_own_without_javascript(
    console: str, http: aiohttp.ClientSession
) -> None:
    assert f'href="{urlsplit(console).path}/trace"' in await page(http, console)
    alone = await page(http, f"{console}/trace")
    for word in (
        "Level 4: ",
        "triage incident",
        "report incident of tocsin-intake",
        "1.2 ms",
        "http://traces/",
    ):
        assert word in alone


@pytest.mark.parametrize("patience", [2])
async def test_nobody_waits_for_a_backend_that_hangs(
    console: str, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await released.wait()
        return web.Response()

    backend.answer = hang
    drawing = asyncio.create_task(page(http, f"{console}/trace"))
    await asked.wait()
    assert "Acknowledged by Ana" in await page(http, console)
    assert "The trace backend did not answer within 2 s." in await drawing
    released.set()


async def gone(_: web.Request) -> web.Response:
    return web.Response(status=500, text="boom")


async def unknown(_: web.Request) -> web.Response:
    return web.json_response(
        {"data": None, "errors": [{"code": 404, "msg": "trace not found"}]}, status=404
    )


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/secret"})


async def garbage(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>a login page</title>")


async def cut_off(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    with suppress(ConnectionError):
        while True:
            await answer.write(b" " * 65536)
    return answer


async def dripping(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    with suppress(ConnectionError):
        while True:
            await answer.write(b" ")
            await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gone, "The trace backend answered HTTP 500."),
        (elsewhere, "The trace backend answered HTTP 302."),
        (unknown, "The trace backend does not have this trace."),
        ({"data": []}, "The trace backend does not have this trace."),
        (garbage, "The trace backend answered with something that is not a trace."),
        (cut_off, "The trace backend cannot be reached."),
        (endless, "The trace is larger than 1024 KiB"),
    ],
)
async def test_why_there_is_no_picture(
    console: str, backend: FakeBackend, http: aiohttp.ClientSession, answer: object, words: str
) -> None:
    backend.answer = answer
    assert words in " ".join((await page(http, f"{console}/trace")).split())


@pytest.mark.parametrize("patience", [2])
async def test_a_backend_that_drips_is_given_up(
    console: str, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    backend.answer = dripping
    assert "The trace backend did not answer within 2 s." in await page(http, f"{console}/trace")


async def test_a_backend_that_is_down_and_none_at_all(
    reporting: Database, feed: Feed, http: aiohttp.ClientSession
) -> None:
    await feed.events(Outage().reported())
    live = Live(asyncio.Event(), asyncio.Event(), 9)
    down = TraceBackend(f"http://someone:password@127.0.0.1:{free_port()}")
    for traces, status, words in (
        (down, 200, "The trace backend cannot be reached."),
        (TraceBackend("not an address"), 200, "The trace backend cannot be reached."),
        (None, 404, "no trace backend is set (TOCSIN_TRACES_API)"),
    ):
        async with served(build_app(reporting, system_clock, live, None, traces)) as address:
            shown = await page(http, f"{address}/incidents/INC-1042/trace", status)
            assert words in shown
            assert "password" not in shown
            assert ("data-trace" in await page(http, f"{address}/incidents/INC-1042")) == (
                traces is not None
            )
            assert (
                "there is no incident INC-7"
                in await page(http, f"{address}/incidents/INC-7/trace", 404)
                or not traces
            )


_BAR_WIDTHS = """
[...document.querySelectorAll(".spans svg rect")].map((bar) => bar.getBoundingClientRect().width)
"""
_NARROWEST_BAR = f"Math.min(...{_BAR_WIDTHS.strip()})"
