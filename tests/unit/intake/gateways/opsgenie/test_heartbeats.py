"""Opsgenie's calls about heartbeats."""

from typing import Any

import pytest

from tests.unit.intake.gateways.opsgenie.conftest import Api

BACKUP = {"name": "backup", "interval": 90, "intervalUnit": "minutes", "enabled": True}
HEARTBEATS, ONE = "/v2/heartbeats", "/v2/heartbeats/{name:path}"


async def call(api: Api, method: str, path: str, body: Any = None, **given: str) -> tuple[int, Any]:
    return await api.call(method, path, body, given=given)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
async def test_a_ping_is_a_beat_and_one_of_an_unknown_name_is_answered_alike(
    api: Api, method: str
) -> None:
    assert (await call(api, "POST", HEARTBEATS, BACKUP))[0] == 201
    for name in ("backup", "unknown", "a/b"):
        status, body = await call(api, method, f"{ONE}/ping", name=name)
        assert (status, body["result"]) == (202, "PONG - Heartbeat received")
    assert list(api.desk.heartbeats.known) == ["backup"]
    _, body = await call(api, "GET", ONE, name="backup")
    assert body["data"]["lastPingTime"] == "2026-03-01T12:00:00.000Z"


async def test_a_heartbeat_is_made_changed_switched_and_deleted(api: Api) -> None:
    more = {"alertMessage": "no backup", "alertPriority": "P1", "alertTags": ["db"]}
    team = {"ownerTeam": {"name": "databases"}}
    status, body = await call(api, "POST", HEARTBEATS, BACKUP | more | team)
    assert (status, body["data"]) == (201, {"name": "backup", "enabled": True, "expired": False})
    settings = api.desk.heartbeats.known["backup"].settings
    assert (settings.severity, settings.summary) == ("critical", "no backup")
    assert settings.labels == {"team": "databases", "tags": "db"}
    changed = {"intervalUnit": "hours", "interval": 2, "description": "nightly"}
    assert (await call(api, "PATCH", ONE, changed, name="backup"))[0] == 200
    assert (await call(api, "POST", f"{ONE}/disable", name="backup"))[1]["data"]["enabled"] is False
    _, body = await call(api, "GET", HEARTBEATS)
    assert body["data"]["heartbeats"] == [
        {
            "name": "backup",
            "enabled": False,
            "expired": False,
            "description": "nightly",
            "interval": 2,
            "intervalUnit": "hours",
            "lastPingTime": "",
            "alertMessage": "no backup",
        }
    ]
    assert (await call(api, "POST", f"{ONE}/enable", name="backup"))[1]["data"]["enabled"] is True
    assert (await call(api, "DELETE", ONE, name="backup"))[1]["result"] == "Deleted"
    for method, path in (("GET", ONE), ("DELETE", ONE), ("POST", f"{ONE}/enable")):
        assert (await call(api, method, path, name="backup"))[0] == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "policy"}, "name"),
        ({"interval": None}, "interval"),
        ({"interval": 0}, "interval"),
        ({"interval": -5}, "interval"),
        ({"interval": "5"}, "interval"),
        ({"interval": 1.5}, "interval"),
        ({"interval": True}, "interval"),
        ({"interval": 10**9}, "interval"),
        ({"interval": 500_000, "intervalUnit": "days"}, "interval"),
        ({"intervalUnit": None}, "intervalUnit"),
        ({"intervalUnit": "weeks"}, "intervalUnit"),
        ({"intervalUnit": ["days"]}, "intervalUnit"),
    ],
)
async def test_what_cannot_be_a_heartbeat_is_422(
    api: Api, change: dict[str, Any], field: str
) -> None:
    status, body = await call(api, "POST", HEARTBEATS, BACKUP | change)
    assert (status, list(body["errors"])) == (422, [field])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"nonsense"])
async def test_what_is_no_json_object_is_400(api: Api, body: bytes) -> None:
    assert (await call(api, "POST", HEARTBEATS, body))[0] == 400
