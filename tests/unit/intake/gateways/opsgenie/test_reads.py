"""Opsgenie's calls that read."""

from typing import Any

import pytest

from services.intake.gateways.opsgenie.identifiers import Outcome, request_id
from tests.unit.intake.gateways.opsgenie.conftest import Api


async def listed(api: Api, **query: Any) -> list[str]:
    status, body = await api.call("GET", "", **query)
    assert status == 200
    return [one["alias"] for one in body["data"]]


@pytest.fixture
async def five(api: Api) -> Api:
    for number, priority in enumerate(("P1", "P2", "P3", "P4", "P1")):
        await api.create(alias=f"a{number}", message=f"m{4 - number}", priority=priority)
    await api.act("POST", "/{id}/acknowledge", "a1")
    await api.act("POST", "/{id}/close", "a4")
    return api


async def test_open_alerts_are_listed_sorted_and_page_by_page(five: Api) -> None:
    by_number: dict[str, Any] = {"sort": "tinyId"}
    assert await listed(five, **by_number) == ["a3", "a2", "a1", "a0"]
    assert await listed(five, sort="message", order="asc") == ["a3", "a2", "a1", "a0"]
    assert await listed(five, query="priority:P1") == ["a0"]
    assert await listed(five, query="acknowledged:true") == ["a1"]
    _, body = await five.call("GET", "", **by_number, limit=2, query="status:open")
    assert [one["alias"] for one in body["data"]] == ["a3", "a2"]
    assert body["paging"].keys() == {"first", "next", "last"}
    assert "offset=2" in body["paging"]["next"]
    assert "query=status%3Aopen" in body["paging"]["next"]
    _, body = await five.call("GET", "", **by_number, limit=2, offset=2)
    assert [one["alias"] for one in body["data"]] == ["a1", "a0"]
    assert body["paging"].keys() == {"first", "prev", "last"}
    assert await listed(five, offset=100) == []


async def test_open_alerts_are_counted(five: Api) -> None:
    for query, count in (("", 4), ("priority: (P1 OR P2)", 2), ("status:closed", 0)):
        status, body = await five.call("GET", "/count", query=query)
        assert (status, body["data"]) == (200, {"count": count})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "colour"}, "sort"),
        ({"order": "up"}, "order"),
        ({"limit": "many"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"offset": "20001"}, "offset"),
        ({"query": "status:"}, "query"),
        ({"searchIdentifier": "mine"}, "searchIdentifier"),
    ],
)
async def test_a_list_that_cannot_be_made_is_422(
    api: Api, query: dict[str, str], field: str
) -> None:
    status, body = await api.call("GET", "", **query)
    assert (status, list(body["errors"])) == (422, [field])


@pytest.mark.parametrize("path", ["", "/notes", "/logs", "/recipients", "/attachments"])
async def test_an_unknown_alert_is_404(api: Api, path: str) -> None:
    for identifier in ("disk", "0199e1d0-0000-7000-8000-000000000001-0000000000000", "", "\x00"):
        for kind in ("id", "alias", "tiny"):
            given = {"identifier": identifier}
            name = "alertIdentifierType" if path == "/attachments" else "identifierType"
            status, body = await api.call("GET", f"/{{id}}{path}", given=given, **{name: kind})
            assert (status, body["message"]) == (404, "Alert does not exist")


async def test_the_log_says_what_happened(five: Api) -> None:
    for alias, entries in (
        ("a0", ["Alert created"]),
        ("a1", ["Alert acknowledged", "Alert created"]),
        ("a4", ["Alert closed", "Alert created"]),
    ):
        given = {"identifier": alias}
        _, body = await five.call("GET", "/{id}/logs", given=given, identifierType="alias")
        assert [one["log"] for one in body["data"]] == entries


async def test_a_request_that_was_never_made_is_404(api: Api) -> None:
    another = request_id("other", Outcome("Create", True, "Created alert"))
    for unknown in ("43a29c5c-3dbf-4fa4-9c26-f4f71023e120", another):
        given = {"request_id": unknown}
        status, body = await api.call("GET", "/requests/{request_id}", given=given)
        assert (status, body["message"]) == (404, "Request does not exist")
