"""The report form in a browser, as a person uses it."""

import json
from typing import Any

import aiohttp
import pytest

from tests.integration.intake.conftest import World, post
from tests.support.browser import LEAST_CONTRAST, Browser
from tests.support.console import needs_browser


async def _send(browser: Browser, **fields: str) -> None:
    """Fill the form and press its button; returns when the next page is there."""
    for name, value in fields.items():
        await browser.value(f"document.getElementById('{name}').value = {json.dumps(value)}")
    await browser.press("button")


@needs_browser
@pytest.mark.parametrize("width", [1280, 360])
async def test_a_person_reports_and_another_joins(
    base: str, http: aiohttp.ClientSession, browser: Browser, width: int
) -> None:
    key = http.headers["Authorization"].removeprefix("Bearer ")
    form, what = f"{base}/report/{key}/form", f"Login fails at width {width}"
    await browser.resize(width, 800)
    await browser.command("Emulation.setScriptExecutionDisabled", value=True)
    await browser.open(form)
    assert await browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert await browser.value(LEAST_CONTRAST) >= 4.5
    unlabelled = "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
    assert await browser.value(f"{unlabelled}.filter((e) => !e.labels.length).length") == 0

    await _send(browser)
    assert await browser.text("#what-fault")
    await _send(browser, what=what, service=f"mail{width}")
    assert "has been received" in await browser.text("h1")
    assert what in await browser.text()
    first = await browser.value("location.href")

    await browser.open(form)
    await _send(browser, what=f"{what} again", service=f"mail{width}")
    assert "Is it one of these?" in await browser.text("h1")
    assert f"Me too: {what}" in await browser.text("fieldset")
    assert await browser.value("document.documentElement.scrollWidth <= innerWidth")
    await browser.press("button")
    assert await browser.value("location.href") == first
    assert browser.complaints == [] or _only_bad_request(browser.complaints)


def _only_bad_request(complaints: list[Any]) -> bool:
    """The form with an error is answered with 400, which the browser logs."""
    return all("status of 400" in one for one in complaints)


async def test_whoever_joined_sees_the_end_and_may_not_join_after_it(
    base: str, http: aiohttp.ClientSession, world: World
) -> None:
    api = f"{base}/v1/report/{http.headers['Authorization'].removeprefix('Bearer ')}"
    status, first = await post(http, api, {"what": "mail is down"})
    assert status == 200
    status, offered = await post(http, api, {"what": "Mail is down"})
    (similar,) = offered["similar"]
    assert (status, similar["what"]) == (200, "mail is down")
    joining = {"what": "Mail is down", "join": similar["incident_id"]}
    assert await post(http, api, joining) == (200, first)
    ((count, sequence),) = [
        (row["signal_count"], row["fired_sequence"])
        for row in await world.rows("SELECT signal_count, fired_sequence FROM incidents")
    ]
    assert count == 2
    await world.resolved(seen=sequence)
    async with http.get(f"{api}/{first['ticket']}") as answer:
        assert (await answer.json())["status"] == "resolved"
    status, problem = await post(http, api, joining)
    assert (status, problem["field"]) == (400, "join")
