"""MTTA and MTTR, with what they are over."""

from datetime import timedelta

from tests.support.feeding import Feed, whole_response
from tests.support.outage import OPENED, Outage
from tests.support.reading import ApiReader


async def test_acknowledged_after_2_minutes_and_resolved_after_30(
    feed: Feed, reader: ApiReader
) -> None:
    await feed.events(*whole_response(Outage()))
    figures = await reader.ask("/v1/metrics?days=30")
    assert (figures["mtta_seconds"], figures["mttr_seconds"]) == (120, 1800)
    assert (figures["acknowledged"], figures["resolved"], figures["never_acknowledged"]) == (
        1,
        1,
        0,
    )
    assert "from opening to acknowledgement" in figures["definitions"]["mtta"]


async def test_an_incident_that_resolved_itself_is_never_acknowledged(
    feed: Feed, reader: ApiReader
) -> None:
    """Auto-resolved after 5 min, never acked: left out of MTTA, counted by itself, unchanged
    an hour later.
    """
    alone = Outage(number=1043)
    await feed.events(
        *whole_response(Outage()),
        alone.reported(),
        alone.triaged(),
        alone.started(),
        alone.cleared(5),
    )
    await feed.events(alone.resolved(5))
    first = await reader.ask("/v1/metrics")
    reader.now += timedelta(hours=1)
    assert await reader.ask("/v1/metrics") == first
    assert (first["mtta_seconds"], first["acknowledged"], first["never_acknowledged"]) == (
        120,
        1,
        1,
    )
    assert first["mttr_seconds"] == (1800 + 300) / 2


async def test_figures_are_over_the_period_asked_for(feed: Feed, reader: ApiReader) -> None:
    await feed.events(*whole_response(Outage()))
    reader.now = OPENED + timedelta(days=3)
    assert (await reader.ask("/v1/metrics?days=2"))["opened"] == 0
    assert (await reader.ask("/v1/metrics?days=2"))["mtta_seconds"] is None
    assert (await reader.ask("/v1/metrics?days=4"))["opened"] == 1
