"""Grafana's webhook: unified alerting with its HMAC, and legacy alerting."""

import hashlib
import hmac
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.gateways.domain.grafana import MAX_ALERTS
from services.intake.gateways.grafana import read_webhook
from services.intake.gateways.policy import Signer
from services.intake.signals.domain import AlertData, Group, Signal, as_alert
from shared.events.malformed import Malformed
from tests.unit.intake.builders import NOON, only, submission, take
from tests.unit.intake.gateways.serving import KEY, Served
from tests.unit.intake.gateways.strategies import ANYTHING


def one(status: str = "firing", name: str = "DiskFull", **alert: Any) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "grafana_folder": "ops", "service": "db"},
        "annotations": {"summary": f"{name} on db1", "runbook_url": "https://wiki.example/disk"},
        "startsAt": "2026-03-01T11:58:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://grafana.example/alerting/grafana/x/view?orgId=1",
        "fingerprint": f"of {name}",
        "silenceURL": "https://grafana.example/alerting/silence/new",
        "dashboardURL": "",
        "panelURL": "",
        "values": {"A": 91},
        "valueString": "[ var='A' value=91 ]",
        **alert,
    }


def notification(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {
        "receiver": "tocsin",
        "status": "firing",
        "state": "alerting",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "DiskFull"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "https://grafana.example/",
        "version": "1",
        "groupKey": '{}:{alertname="DiskFull"}',
        "truncatedAlerts": 0,
        "orgId": 1,
        "title": "[FIRING:1] DiskFull",
        "message": "**Firing**",
        **more,
    }


def legacy(state: str = "alerting", **more: Any) -> dict[str, Any]:
    return {
        "title": "[Alerting] CPU",
        "ruleId": 129,
        "ruleName": "CPU",
        "state": state,
        "evalMatches": [{"value": 100, "metric": "High value", "tags": {"host": "db1"}}],
        "orgId": 1,
        "ruleUrl": "https://grafana.example/d/1",
        "message": "too high",
        **more,
    }


def read(document: Any) -> list[Signal]:
    return read_webhook(submission(orjson.dumps(document)))


def data(document: Any) -> AlertData:
    (signal,) = read(document)
    assert isinstance(signal.data, AlertData)
    return signal.data


def test_an_alert_is_itself_whatever_group_it_is_in() -> None:
    (first,) = read(notification(one()))
    (second,) = read(notification(one("resolved"), groupKey="another"))
    opening, ending = as_alert(first), as_alert(second)
    assert opening is not None
    assert ending is not None
    assert opening.fingerprint == ending.fingerprint
    opened = take([opening])
    assert only(opened).status == "open"
    assert only(take([ending], opened)).status == "cleared"
    found = only(opened)
    assert (found.summary, found.service) == ("DiskFull on db1", "db")
    assert first.sent_at.isoformat() == "2026-03-01T11:58:00+00:00"


@pytest.mark.parametrize(
    ("link", "shown"),
    [("?orgId=1", ["?orgId=1"]), ("", []), (None, []), ({}, []), ("x y", ["x y"])],
)
def test_a_link_that_is_none_never_costs_the_alert(link: Any, shown: list[str]) -> None:
    """The test of a contact point in Grafana 12 sends `?orgId=1` for a link."""
    found = data(notification(one(generatorURL=link, annotations={}, silenceURL=None)))
    assert found.links == shown
    assert found.labels == {"alertname": "DiskFull", "grafana_folder": "ops", "service": "db"}
    without = one()
    del without["generatorURL"]
    assert data(notification(without)).status == "firing"


def test_an_alert_whose_only_label_is_its_name_is_taken() -> None:
    found = data(notification({"labels": {"alertname": "x"}, "annotations": {"severity": "info"}}))
    assert (found.summary, found.severity, found.key) == ("x", "info", "alertname=x")
    assert data(notification({"labels": {"alertname": "x"}})).severity is None


@pytest.mark.parametrize("matches", [[], None, [7], [{"tags": None}], [{"tags": {"host": "a"}}]])
def test_a_legacy_rule_is_one_alert_whatever_matches(matches: Any) -> None:
    """While its data source is down, a rule has no matches, and so no resource."""
    fires, over = legacy(evalMatches=matches), legacy("ok", evalMatches=[])
    opening, ending = (as_alert(read(document)[0]) for document in (fires, over))
    assert opening is not None
    assert ending is not None
    assert opening.data.key == "rule/129"
    assert only(take([ending], take([opening]))).status == "cleared"
    assert opening.data.labels.get("severity") is None


def test_the_smallest_legacy_body_is_taken() -> None:
    found = data({"state": "alerting", "ruleId": 129, "evalMatches": []})
    assert (found.status, found.key, found.summary) == (
        "firing",
        "rule/129",
        "alert without a name",
    )
    assert data({"state": "ok", "ruleId": 129}).status == "resolved"
    assert data({"state": "no_data", "ruleId": 129}).status == "firing"


class TestGroups:
    """What a notification says of all its alerts together."""

    def test_alerts_that_fire_come_before_those_that_are_over(self) -> None:
        signals = read(notification(one("resolved", "a"), one("firing", "b"), 7, one("odd", "c")))
        assert [one.data.summary for one in signals] == [
            "b on db1",
            "[FIRING:1] DiskFull",
            "c on db1",
            "a on db1",
        ]
        assert {one.group for one in signals} == {
            Group(0, all_resolved=False, key='{}:{alertname="DiskFull"}')
        }

    def test_that_all_are_over_is_said_once(self) -> None:
        signals = read(notification(one("resolved", "a"), one("resolved", "b")))
        assert [one.group and one.group.all_resolved for one in signals] == [False, True]

    def test_of_those_left_out_nobody_knows(self) -> None:
        (signal,) = read(notification(one("resolved"), truncatedAlerts=3))
        assert signal.group is not None
        assert (signal.group.unlisted, signal.group.all_resolved) == (3, None)

    def test_of_more_than_are_taken_the_rest_is_counted(self) -> None:
        many = [{"fingerprint": str(number)} for number in range(MAX_ALERTS + 5)]
        signals = read(notification(*many, truncatedAlerts=7))
        assert len(signals) == MAX_ALERTS
        assert signals[0].group is not None
        assert signals[0].group.unlisted == 12


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("path", "headers"),
    [(f"/v1/grafana/{KEY}", {}), ("/v1/grafana", {"Authorization": f"Bearer {KEY}"})],
)
async def test_it_is_served(api: Served, method: str, path: str, headers: dict[str, str]) -> None:
    status, answer = await api.send(path, notification(one()), headers, method)
    assert (status, answer, len(api.stored)) == (200, {"accepted": 1}, 1)
    assert (await api.send("/v1/grafana/bad", notification(one()), None, method))[0] == 401


async def test_overload_is_told_as_what_passes(api: Served) -> None:
    api.full = True
    assert (await api.send(f"/v1/grafana/{KEY}", notification(one())))[0] == 503


@pytest.mark.parametrize("time_header", [None, "X-Grafana-Alerting-Timestamp"])
async def test_what_grafana_signs_is_taken_and_nothing_else(
    api: Served, time_header: str | None
) -> None:
    api.signers = {"tests": Signer(secret="s3cret", timestamp_header=time_header)}
    body = orjson.dumps(notification(one()))
    stamp = str(int(NOON.timestamp())).encode()
    text = stamp + b":" + body if time_header else body
    digest = hmac.new(b"s3cret", text, hashlib.sha256).hexdigest()
    headers = {"X-Grafana-Alerting-Signature": digest}
    headers |= {time_header: stamp.decode()} if time_header else {}
    assert (await api.send(f"/v1/grafana/{KEY}", body, headers))[0] == 200
    status, answer = await api.send(f"/v1/grafana/{KEY}", body + b" ", headers)
    assert (status, answer["field"]) == (401, "X-Grafana-Alerting-Signature")
    assert len(api.stored) == 1


MALFORMED = [
    (b"", "body"),
    (b"not json", "body"),
    (b"{", "body"),
    (b"[1,", "body"),
    (b"\xff", "body"),
    (b"state=alerting", "body"),
    (b"null", "body"),
    (b"7", "body"),
    (b"true", "body"),
    (b'"alerts"', "body"),
    (b"[]", "body"),
    (b'[{"alerts": []}]', "body"),
    (b"{}", "alerts"),
    (b'{"alert": {}}', "alerts"),
    (b'{"title": "x", "message": "y"}', "alerts"),
    (b'{"alerts": null}', "alerts"),
    (b'{"alerts": []}', "alerts"),
    (b'{"alerts": {}}', "alerts"),
    (b'{"alerts": "firing"}', "alerts"),
    (b'{"alerts": 7, "ruleId": 1}', "alerts"),
    (b'{"a":' * 100 + b"1" + b"}" * 100, "a.a.a.a"),
]


@pytest.mark.parametrize(("body", "field"), MALFORMED)
async def test_a_body_that_cannot_be_read_is_refused_by_its_field(
    api: Served, body: bytes, field: str
) -> None:
    status, answer = await api.send(f"/v1/grafana/{KEY}", body)
    assert (status, answer["field"], api.stored) == (400, field, [])


PARTS = st.sampled_from(["alerts", "groupKey", "truncatedAlerts", "title", "ruleId", "state"])
ALERTS = st.lists(st.dictionaries(st.sampled_from(list(one())), ANYTHING, max_size=3), max_size=2)


@given(st.booleans(), st.dictionaries(PARTS, ANYTHING | ALERTS, max_size=3))
@settings(deadline=None)
def test_no_body_makes_it_fail(old: bool, changes: dict[str, Any]) -> None:
    document = (legacy() if old else notification(one())) | changes
    try:
        signals = read_webhook(submission(json.dumps(document).encode()))
    except Malformed:
        return
    assert all(signal.data.summary.strip() for signal in signals)
