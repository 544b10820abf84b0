"""Opsgenie's calls that act: what they do is said by the status of their request, at once."""

from dataclasses import replace
from typing import Any

import pytest

from services.intake.signals.domain import AlertData
from tests.unit.intake.gateways.opsgenie.conftest import Api

ALERT = {
    "message": "disk full",
    "alias": "disk",
    "description": "91 % of /var",
    "tags": ["db", "prod"],
    "details": {"service": "orders", "host": "db-1"},
    "entity": "db-1",
    "source": "https://nagios.example/7",
    "priority": "P1",
    "responders": [{"type": "team", "name": "Databases"}],
}


async def test_a_new_alert_has_all_that_was_sent(api: Api) -> None:
    outcome = await api.create(**ALERT)
    assert (outcome["success"], outcome["isSuccess"]) == (True, True)
    assert (outcome["action"], outcome["status"], outcome["alias"]) == (
        *("Create", "Created alert"),
        "disk",
    )
    (signal,) = api.desk.signals
    assert isinstance(signal.data, AlertData)
    assert (signal.data.severity, signal.data.service) == ("critical", "orders")
    assert signal.data.labels == ALERT["details"]
    assert signal.data.links == ["https://nagios.example/7"]
    shown = await api.get("disk")
    assert {name: shown[name] for name in ALERT} == ALERT
    assert (shown["id"], shown["status"], shown["count"]) == (outcome["alertId"], "open", 1)


async def test_one_alias_is_one_alert_while_it_is_open(api: Api) -> None:
    first = await api.create(alias="disk")
    again = await api.create(alias="disk", message="disk still full")
    assert again["alertId"] == first["alertId"]
    assert api.only().count == 2
    assert (await api.act("POST", "/{id}/close", "disk"))["success"]
    later = await api.create(alias="disk")
    assert later["alertId"] != first["alertId"]
    assert [one.status for one in api.desk.known] == ["resolved", "firing"]


async def test_what_was_added_to_an_alert_stays_when_it_occurs_again(api: Api) -> None:
    await api.create(**ALERT)
    await api.act("POST", "/{id}/notes", "disk", {"note": "looking", "user": "ann"})
    await api.act("POST", "/{id}/details", "disk", {"details": {"ticket": "7"}})
    await api.create(alias="disk", message="disk still full", details={"host": "db-2"})
    known = api.only()
    assert known.labels == {"service": "orders", "host": "db-2", "ticket": "7"}
    assert "ann: looking" in known.annotations.values()


async def test_without_an_alias_every_alert_is_its_own_and_its_id_is_its_alias(api: Api) -> None:
    outcomes = [await api.create() for _ in range(2)]
    ids = [outcome["alertId"] for outcome in outcomes]
    assert ids[0] != ids[1]
    assert ids == [outcome["alias"] for outcome in outcomes]
    closed = await api.act("POST", "/{id}/close", ids[0], identifierType="id")
    assert (closed["success"], closed["alertId"]) == (True, ids[0])
    assert [one.status for one in api.desk.known] == ["resolved", "firing"]


@pytest.mark.parametrize("alias", ["disk", "x" * 512, "a/b", "Prüfung 1", "%2F", "close", " "])
@pytest.mark.parametrize("by", ["id", "alias", "tiny"])
async def test_what_opens_an_alert_names_it_when_it_is_closed(
    api: Api, alias: str, by: str
) -> None:
    outcome = await api.create(alias=alias)
    names = {"id": outcome["alertId"], "alias": alias, "tiny": str(api.only().number)}
    closed = await api.act("POST", "/{id}/close", names[by], {"user": "ann"}, identifierType=by)
    assert (closed["success"], closed["alertId"]) == (True, outcome["alertId"])
    assert api.only().status == "resolved"
    assert isinstance(api.desk.signals[-1].data, AlertData)
    assert api.desk.signals[-1].data.by == "ann"


async def test_an_acknowledgement_has_a_name_and_its_note_is_kept(api: Api) -> None:
    await api.create(alias="disk")
    done = await api.act("POST", "/{id}/acknowledge", "disk", {"user": "ann", "note": "on it"})
    assert (done["success"], done["action"]) == (True, "Acknowledge")
    known = api.only()
    assert known.status == "acknowledged"
    assert list(known.annotations.values()) == ["ann: on it"]
    assert (await api.get("disk"))["acknowledged"] is True


@pytest.mark.parametrize("call", ["close", "acknowledge"])
async def test_an_alert_that_is_closed_or_unknown_is_left_as_it_is_and_said_so(
    api: Api, call: str
) -> None:
    unknown = await api.act("POST", f"/{{id}}/{call}", "disk")
    assert (unknown["success"], unknown["alertId"]) == (False, "")
    assert unknown["status"] == "There is no open alert with this alias"
    await api.create(alias="disk")
    await api.act("POST", "/{id}/close", "disk")
    closed = await api.act("POST", f"/{{id}}/{call}", "disk")
    assert (closed["success"], closed["status"]) == (False, "Alert is already closed")
    assert api.only().status == "resolved"


CHANGES: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("PUT", "/message", {"message": "m2"}, {}, {"message": "m2"}),
    ("PUT", "/description", {"description": "d2"}, {}, {"description": "d2"}),
    ("PUT", "/priority", {"priority": "P4"}, {}, {"priority": "P4"}),
    ("POST", "/tags", {"tags": ["db", "new"]}, {}, {"tags": ["db", "prod", "new"]}),
    ("DELETE", "/tags", {}, {"tags": "db,other"}, {"tags": ["prod"]}),
    (
        *("POST", "/details", {"details": {"host": "db-2", "n": 7}}, {}),
        {"details": {"service": "orders", "host": "db-2", "n": "7"}},
    ),
    ("DELETE", "/details", {}, {"keys": "host,other"}, {"details": {"service": "orders"}}),
]


@pytest.mark.parametrize(("method", "path", "body", "query", "shown"), CHANGES)
async def test_an_open_alert_is_changed(
    api: Api,
    method: str,
    path: str,
    body: dict[str, Any],
    query: dict[str, Any],
    shown: dict[str, Any],
) -> None:
    created = await api.create(**ALERT)
    sent = body or None
    done = await api.act(method, f"/{{id}}{path}", "disk", sent, **query)
    assert (done["success"], done["alertId"]) == (True, created["alertId"])
    after = await api.get("disk")
    expected = ALERT | shown
    assert {name: after[name] for name in expected} == expected
    await api.act("POST", "/{id}/close", "disk")
    late = await api.act(method, f"/{{id}}{path}", "disk", sent, **query)
    assert (late["success"], late["status"]) == (False, "Alert is already closed")
    assert (await api.act(method, f"/{{id}}{path}", "other", sent, **query))["success"] is False
    assert api.only().status == "resolved"


async def test_notes_are_read_newest_first_and_the_newest_are_kept(api: Api) -> None:
    await api.create(alias="disk")
    for number in range(50):
        name = f"note 2026-03-01T11:00:{number:02}.000000+00:00"
        api.only().annotations[name] = str(number)
    assert (await api.act("POST", "/{id}/notes", "disk", {"note": "newest"}))["success"]
    given = {"identifier": "disk"}
    _, body = await api.call("GET", "/{id}/notes", given=given, identifierType="alias")
    notes = [one["note"] for one in body["data"]]
    assert notes == ["newest", *(str(number) for number in range(49, 10, -1))]


async def test_a_change_that_meets_the_end_of_its_alert_opens_nothing(api: Api) -> None:
    await api.create(alias="disk")

    def close() -> None:
        api.desk.known[0] = replace(api.only(), status="resolved")

    api.desk.before_submission = close
    done = await api.act("POST", "/{id}/notes", "disk", {"note": "late"})
    assert done["success"] is False
    assert {one.status for one in api.desk.known} == {"resolved"}


async def test_zabbix_gets_its_answers_without_asking_again(api: Api) -> None:
    """Its script repeats the question as long as a status is a failure that it does not know."""
    created = await api.create(alias="4711", source="Zabbix", responders=[])
    assert created["alertId"]
    update = {"user": "Ann (ann)", "note": "acknowledged"}
    for call in ("acknowledge", "notes", "close"):
        assert (await api.act("POST", f"/{{id}}/{call}", "4711", update))["success"]
    again = await api.act("POST", "/{id}/close", "4711", {"user": "", "note": "resolved"})
    assert "Alert is already" in again["status"]
    unknown = await api.act("POST", "/{id}/close", "4712", {"user": "", "note": "resolved"})
    assert "There is no open alert" in unknown["status"]


WISHES: list[tuple[str, dict[str, Any], str]] = [
    ("unacknowledge", {}, "take an acknowledgement back"),
    ("snooze", {"endTime": "2026-03-02T00:00:00Z"}, "snooze alerts (until 2026-03-02T00:00:00Z)"),
    ("escalate", {"escalation": {"name": "Managers"}}, "escalate on a sender's request"),
    ("assign", {"owner": {"username": "ann@example.com"}}, "assign alerts on a sender's request"),
    ("responders", {"responder": {"type": "team", "id": "7"}}, "add responders"),
    ("teams", {"team": {"name": "Network"}}, "add teams"),
    ("actions/{action}", {"note": "please"}, "run custom actions (restart)"),
]


@pytest.mark.parametrize(("path", "body", "said"), WISHES)
async def test_what_tocsin_does_not_do_is_noted_and_said(
    api: Api, path: str, body: dict[str, Any], said: str
) -> None:
    await api.create(alias="disk")
    action = {"action": "restart"} if "{action}" in path else {}
    sent = body | {"user": "ann"}
    outcome = await api.act("POST", f"/{{id}}/{path}", "disk", sent, **action)
    assert outcome["success"] is False
    assert outcome["status"].startswith(f"Tocsin does not {said}")
    (note,) = api.only().annotations.values()
    assert note.startswith(f"ann: asked to {said}")
    unknown = await api.act("POST", f"/{{id}}/{path}", "other", sent, **action)
    assert unknown["status"] == "There is no open alert with this alias"


async def test_a_deleted_alert_is_closed_and_its_note_kept(api: Api) -> None:
    await api.create(alias="disk")
    query = {"user": "ann", "note": "a test", "source": "cli"}
    assert (await api.act("DELETE", "/{id}", "disk", **query))["success"]
    assert api.only().status == "resolved"
    assert list(api.only().annotations.values()) == ["ann: a test"]


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        *[("P1", "critical"), ("P2", "error"), ("P3", "warning"), ("P4", "info"), ("P5", "info")],
        *[("p1", "critical"), (None, "warning"), ("", "warning"), ("P9", "P9"), (1, "1")],
    ],
)
async def test_a_priority_is_a_severity_and_an_odd_one_is_kept(
    api: Api, priority: Any, severity: str
) -> None:
    assert (await api.create(priority=priority))["success"]
    (signal,) = api.desk.signals
    assert isinstance(signal.data, AlertData)
    assert signal.data.severity == severity


@pytest.mark.parametrize(
    "odd",
    [
        {"tags": "db"},
        {"tags": [None, 7, {"a": 1}, "a,b"]},
        {"details": "text"},
        {"details": {"a": {"b": [1]}, "": "x", "\x00": "y"}},
        {"details": {str(number): "v" * 9_000 for number in range(40)}},
        {"responders": [7, None], "visibleTo": "x", "actions": {}},
        {"description": "x" * 20_000, "entity": ["x"], "source": 7},
        {"message": "x" * 2_000},
        {"alias": 7, "user": {}, "note": []},
        {"priority": ["P1"]},
    ],
)
async def test_an_odd_field_costs_itself(api: Api, odd: dict[str, Any]) -> None:
    assert (await api.create(**odd))["success"]
    status, _ = await api.call("GET", "")
    assert status == 200
