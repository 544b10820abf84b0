"""The API of incidents: one incident with all that is known, and lists."""

from datetime import timedelta

import pytest

from shared.events.ids import uuid7
from tests.support.feeding import Feed, whole_response
from tests.support.outage import OPENED, Outage, change
from tests.support.reading import ApiReader


async def test_all_that_is_known_of_an_incident(feed: Feed, reader: ApiReader) -> None:
    outage = Outage()
    await feed.events(
        change(made_at=OPENED - timedelta(minutes=5)), change("search"), *whole_response(outage)
    )
    by_number = await reader.ask("/v1/incidents/inc-1042")
    assert by_number == await reader.ask(f"/v1/incidents/{outage.incident_id}")
    assert by_number["status"] == "resolved"
    assert (by_number["time_to_acknowledge_seconds"], by_number["time_to_resolve_seconds"]) == (
        120,
        1800,
    )
    assert [entry["title"] for entry in by_number["timeline"]] == [
        "Deployment v41: new payment client (5 min before the incident)",
        "Reported: checkout answers 5xx",
        "Triaged: P1, owned by payments",
        "Response started: P1 for team payments",
        "Step 1: paging ana",
        "Paged ana by webhook",
        "Step 2: paging ben",
        "Paged ben by webhook",
        "Acknowledged by Ben by link",
        "Cleared: resolved at the source",
        "Resolved: cleared at the source",
    ]
    assert [(page["user"], page["outcome"]) for page in by_number["pages"]] == [
        ("ana", "sent"),
        ("ben", "sent"),
    ]
    assert "on call" in by_number["pages"][0]["why"][0]
    assert by_number["trace_url"] == f"http://traces/trace/{outage.trace.trace_id}"


async def test_pages_of_the_list_meet_without_gap_or_overlap(feed: Feed, reader: ApiReader) -> None:
    for number in range(1000, 1007):
        await feed.events(
            Outage(number=number, team="payments" if number % 2 else "search").triaged()
        )
    seen: list[int] = []
    path = "/v1/incidents?limit=3"
    while True:
        page = await reader.ask(path)
        seen += [incident["number"] for incident in page["incidents"]]
        if page["next"] is None:
            break
        path = f"/v1/incidents?limit=3&before={page['next']}"
    assert seen == list(range(1006, 999, -1))
    ours = await reader.ask("/v1/incidents?team=search&status=open")
    assert [incident["number"] for incident in ours["incidents"]] == [1006, 1004, 1002, 1000]
    assert (await reader.ask("/v1/incidents?status=resolved"))["incidents"] == []
    assert await reader.numbers("/v1/incidents?status=all") == list(range(1006, 999, -1))


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/incidents?limit=0", 422, "limit"),
        ("/v1/incidents?limit=many", 422, "limit"),
        ("/v1/incidents?status=asleep", 422, "status"),
        ("/v1/incidents?before=yesterday", 400, "before"),
        ("/v1/metrics?days=0", 422, "days"),
        ("/v1/incidents/INC-x", 400, "incident"),
        ("/v1/incidents/INC-99999", 404, "incident"),
        ("/v1/incidents/INC-99999999999999999999", 400, "incident"),
        (f"/v1/incidents/{uuid7()}", 404, "incident"),
    ],
)
async def test_a_bad_request_names_the_field(
    reader: ApiReader, path: str, status: int, field: str
) -> None:
    answer = await reader.ask(path, status)
    assert answer["field"] == field
    assert answer["status"] == status


async def test_a_canarys_incidents_are_in_no_figure_and_no_list_but_their_own(
    feed: Feed, reader: ApiReader
) -> None:
    real, canary = Outage(), Outage(number=1043, service="canary", synthetic=True)
    await feed.events(*whole_response(real))
    before = await reader.ask("/v1/metrics")

    await feed.events(*whole_response(canary))

    assert await reader.ask("/v1/metrics") == before
    assert await reader.numbers("/v1/incidents") == [1042]
    assert await reader.numbers("/v1/incidents?synthetic=true") == [1043]
    answer = await reader.ask("/v1/incidents/INC-1043")
    assert (answer["synthetic"], answer["status"]) == (True, "resolved")
    assert (await reader.ask("/v1/incidents/INC-1042"))["synthetic"] is False
