"""The page behind a signed link."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.escalation.links.domain import Link
from tests.support.outside import Outside, outside


@pytest.fixture
async def client(database: str) -> AsyncIterator[Outside]:
    async with outside(database) as made:
        yield made


async def test_looking_at_a_link_changes_nothing_and_the_button_then_works(client: Outside) -> None:
    (id,) = await client.it.triaged(1042)
    link = client.token(id)
    before = await client.it.rows("SELECT state::text, sequence FROM incidents")
    for _ in range(10):
        assert (await client.link("HEAD", link))[0] == 200
        status, html, headers = await client.link("GET", link)
    assert status == 200
    assert "Acknowledge INC-1042" in html
    assert html.count("<button") == 1
    assert await client.it.rows("SELECT state::text, sequence FROM incidents") == before
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "noindex" in headers["x-robots-tag"]
    assert not re.search(r"(src|href)=", html), "nothing from elsewhere"

    status, html, _ = await client.link("POST", link)
    assert status == 200
    assert "Acknowledged by ana." in html
    ((_, told),) = await client.it.told("IncidentAcknowledged")
    assert (told["data"]["by"], told["data"]["via"]) == ("ana", "link")
    assert "It is already acknowledged by ana." in (await client.link("POST", link))[1]
    assert "<button" not in (await client.link("GET", link))[1]


async def test_a_resolve_link_resolves(client: Outside) -> None:
    (id,) = await client.it.triaged(1042)
    assert "Resolved by ben." in (await client.link("POST", client.token(id, "resolve", "ben")))[1]
    assert "It is already resolved by ben." in (await client.link("POST", client.token(id)))[1]


async def test_a_link_that_is_forged_or_old_does_nothing(client: Outside) -> None:
    (id,) = await client.it.triaged(1042)
    late = client.it.links.token(
        Link(id, "ana", "acknowledge", client.it.clock() - timedelta(seconds=1))
    )
    for link in (client.token(id)[:-3], "x", late):
        for method in ("GET", "POST"):
            status, html, _ = await client.link(method, link)
            assert status == 403
            assert "This link" in html
            assert "disk full" not in html
    assert not await client.it.told("IncidentAcknowledged")


async def test_a_summary_is_text_on_the_page_whatever_is_in_it(client: Outside) -> None:
    (id,) = await client.it.triaged(1042)
    async with client.it.database.transaction() as connection:
        await connection.execute(
            "UPDATE incidents SET state = jsonb_set(state, '{response,summary}', $1)",
            "<script>alert(1)</script>",
        )
    html = (await client.link("GET", client.token(id)))[1]
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
