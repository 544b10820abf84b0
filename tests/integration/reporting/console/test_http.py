"""The console as a person has it: in a browser, without JavaScript, on a phone, with hostile words
in a signal.
"""

from datetime import timedelta

import aiohttp
import pytest

from shared.events.facts import new_event
from shared.events.ids import uuid7
from shared.events.intake import Advisory, AdvisoryRecorded, RequestLogged, ServiceRequest
from shared.events.trace_context import new_trace
from shared.runtime.clock import system_clock
from tests.support.browser import LEAST_CONTRAST, Browser
from tests.support.console import HOSTILE, needs_browser, page
from tests.support.feeding import Feed
from tests.support.outage import GROUP, Outage, change
from tests.support.running import eventually


def recent(**words: object) -> Outage:
    return Outage(opened=system_clock() - timedelta(minutes=10), **words)  # type: ignore[arg-type]


@needs_browser
async def test_the_board_is_live(feed: Feed, console: str, browser: Browser) -> None:
    minor, major = recent(number=1001, priority="P3", summary="disk fills"), recent(number=1002)
    await feed.events(minor.reported(), minor.triaged(), minor.started())
    await browser.open(console)
    assert "1 incident open" in await browser.text("h1")
    assert "10 min" in await browser.text(".age")
    await eventually(
        "the stream is open",
        lambda: browser.value("document.querySelector('[data-live=on]') !== null"),
    )

    await feed.events(major.reported(), major.triaged(), major.started())
    await eventually("the new one is on top", lambda: _reads(browser, "tbody tr", "INC-1002"))
    assert await browser.value("document.title") == "2 open · Tocsin"
    await feed.events(major.acknowledged(1, "Ben"))
    await eventually("its owner shows", lambda: _reads(browser, "tbody tr .owner", "Ben"))
    before = await browser.text(".age")
    await eventually("ages tick", lambda: _differs(browser, ".age", before))
    await feed.events(major.resolved(2, "Ben"), minor.resolved(3))
    await eventually("all is calm", lambda: _reads(browser, "h1", "Nothing is open"))
    assert browser.complaints == []


@needs_browser
async def test_an_incidents_page_grows_without_closing_what_is_open(
    feed: Feed, console: str, browser: Browser
) -> None:
    outage = recent()
    await feed.events(
        change(made_at=outage.opened - timedelta(minutes=5)),
        outage.reported(),
        outage.triaged(),
        outage.started(),
    )
    await browser.open(f"{console}/incidents/INC-1042")
    assert "(5 min before the incident)" in await browser.text(".timeline")
    assert await browser.value(
        "document.querySelector('.facts a[href^=\"http://traces/\"]').textContent"
    ) == (outage.trace.trace_id)
    await browser.value("document.querySelector('.IncidentTriaged summary').click()")
    assert "service checkout is tier 1" in await browser.text(".IncidentTriaged")

    await feed.events(
        outage.escalated(0.1, 1, "ana"), outage.paged(0.2), outage.acknowledged(2, "Ana")
    )
    await eventually(
        "the acknowledgement shows",
        lambda: _reads(browser, ".timeline", "Acknowledged by Ana by link"),
    )
    assert "service checkout is tier 1" in await browser.text(".IncidentTriaged")
    assert "ana by webhook sent" in await browser.text(".pages")
    assert "on call" in await browser.text(".pages")
    assert "2 min" in await browser.text(".of-incident")
    assert browser.complaints == []


@needs_browser
async def test_hostile_words_stay_words(feed: Feed, console: str, browser: Browser) -> None:
    outage = recent(
        summary=HOSTILE, team=HOSTILE, links=["javascript:window.hurt = 1", "https://good.example/"]
    )
    await feed.events(
        outage.reported(), outage.triaged(), outage.started(), outage.acknowledged(1, HOSTILE)
    )
    for path in ("/", "/incidents/INC-1042"):
        await browser.open(console + path)
        assert HOSTILE in await browser.text()
        assert (
            await browser.value(
                "document.querySelectorAll('main script, main img, [onerror]').length"
            )
            == 0
        )
        assert (
            await browser.value(
                "[...document.links].filter((a) => a.protocol === 'javascript:').length"
            )
            == 0
        )
        assert await browser.value("window.hurt") is None
    assert "javascript:window.hurt = 1" in await browser.text(".facts")
    assert browser.complaints == []


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_and_can_be_read(
    feed: Feed, console: str, browser: Browser, scheme: str
) -> None:
    outage = recent(summary="a very long summary without a space: " + "x" * 300)
    await feed.events(outage.reported(), outage.triaged(), outage.started(), outage.paged(1))
    await browser.resize(390, 800)
    for path in ("/", "/incidents/INC-1042", "/requests", "/advisories"):
        await browser.open(console + path, prefers_color_scheme=scheme)
        assert await browser.value("document.documentElement.scrollWidth") <= 390
        assert await browser.value(LEAST_CONTRAST) >= 4.5


async def test_a_page_is_complete_without_javascript(
    feed: Feed, console: str, http: aiohttp.ClientSession
) -> None:
    outage = recent()
    await feed.events(
        outage.reported(), outage.triaged(), outage.started(), outage.paged(1), outage.resolved(2)
    )
    request = ServiceRequest(
        request_id=uuid7(), source="x", summary="a new laptop", received_at=system_clock()
    )
    await feed.events(
        new_event(
            request.request_id, 1, system_clock(), RequestLogged(request=request), new_trace()
        )
    )
    advisory = Advisory(
        advisory_id=uuid7(),
        source="scanner",
        advisory="CVE-2026-1001",
        status="affected",
        summary="the parser overflows",
        service="checkout",
        fixed_in=["2.4.1"],
        received_at=system_clock(),
    )
    recorded = AdvisoryRecorded(advisory=advisory)
    await feed.events(
        new_event(advisory.advisory_id, 1, system_clock(), recorded, new_trace()),
        new_event(advisory.advisory_id, 1, system_clock(), recorded, new_trace()),
    )
    board = await page(http, console)
    assert "Mean time to resolve: from opening to resolution" in board
    assert "INC-1042 checkout answers 5xx" in board
    assert "Paged ana by webhook" in await page(http, f"{console}/incidents/{outage.incident_id}")
    assert "a new laptop" in await page(http, f"{console}/requests")
    advisories = await page(http, f"{console}/advisories")
    assert advisories.count("CVE-2026-1001</b> affected: the parser overflows") == 1
    assert "checkout, fixed in 2.4.1" in advisories
    assert "there is no incident INC-7" in await page(http, f"{console}/incidents/INC-7", 404)


async def test_a_canarys_incident_has_a_page_and_a_list_of_its_own(
    feed: Feed, console: str, http: aiohttp.ClientSession
) -> None:
    outage = recent(number=1043, service="canary", synthetic=True, summary="the canary sings")
    await feed.events(outage.reported(), outage.triaged(), outage.started())
    board = await page(http, f"{console}/")
    assert "Nothing is open" in board
    assert "INC-1043" not in board
    assert "the canary sings" in await page(http, f"{console}/canary")
    assert "not a real incident" in await page(http, f"{console}/incidents/INC-1043")


async def _reads(browser: Browser, selector: str, text: str) -> bool:
    return text in await browser.text(selector)


async def _differs(browser: Browser, selector: str, text: str) -> bool:
    return await browser.text(selector) != text


@needs_browser
async def test_an_incident_of_many_alerts_names_some_and_counts_all(
    feed: Feed, console: str, browser: Browser
) -> None:
    outage = recent(alerts=GROUP)
    await feed.events(outage.reported(), outage.triaged(), outage.started())
    await browser.resize(360, 740)
    await browser.open(f"{console}/incidents/INC-1042")
    shown = await browser.text("section[aria-labelledby=alerts]")
    assert "800 alerts and 5 that its sender did not list, 3 of them:" in shown
    assert (
        "firing disk full on web-2\nfiring disk full on web-3\nresolved disk full on web-1" in shown
    )
    assert "tocsin intake alerts INC-1042" in shown
    assert "stays open until it is calm" in shown
    assert "cleo" in await browser.text(".facts")
    assert await browser.value("document.documentElement.scrollWidth") <= 360
    assert await browser.value(LEAST_CONTRAST) >= 4.5
    assert browser.complaints == []
