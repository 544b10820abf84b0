"""Grafana OnCall's inbound URLs."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.gateways.domain.oncall import SLUGS
from services.intake.gateways.oncall import read_inbound
from services.intake.signals.domain import Alert, as_alert
from shared.events.malformed import Malformed
from tests.unit.intake.builders import only, submission, take
from tests.unit.intake.gateways.serving import KEY, Served
from tests.unit.intake.gateways.strategies import ANYTHING
from tests.unit.intake.gateways.test_grafana import legacy, notification, one


def alerts(slug: str, payload: Any) -> list[Alert]:
    body = json.dumps(payload).encode()
    signals = read_inbound(submission(body, path={"slug": slug}))
    return [made for signal in signals if (made := as_alert(signal))]


@pytest.mark.parametrize("slug", ["formatted_webhook", "webhook", "zabbix", "elastalert"])
@pytest.mark.parametrize("over", ["ok", "OK", "Ok"])
def test_the_end_needs_no_more_than_the_uid(slug: str, over: str) -> None:
    fires = {"alert_uid": "a1", "state": "alerting", "title": "x"}
    (opening,), (ending,) = alerts(slug, fires), alerts(slug, {"alert_uid": "a1", "state": over})
    opened = take([opening])
    closed = take([ending], opened)
    assert len(opened.opened) == 1
    assert (only(closed).status, only(closed).summary) == ("cleared", "x")


@pytest.mark.parametrize(
    ("slug", "fires", "over"),
    [
        (
            "formatted_webhook",
            {"title": "shop is down", "state": "alerting", "message": "down"},
            {"title": "shop is up", "state": "ok", "message": "up"},
        ),
        ("webhook", {"title": "x", "state": "alerting"}, {"title": "x", "state": "ok"}),
        (
            "webhook",
            {"job": "backup", "state": "failed", "time": 1},
            {"job": "backup", "state": "ok", "time": 2},
        ),
        (
            "kapacitor",
            {"id": "cpu", "level": "CRITICAL", "message": "m"},
            {"id": "cpu", "level": "OK", "message": "n"},
        ),
        (
            "inbound_email",
            {"subject": "Disk full", "message": "91 %"},
            {"subject": "disk FULL", "message": "OK"},
        ),
        ("alertmanager", notification(one()), notification(one("resolved"))),
        ("legacy_alertmanager", notification(one()), notification(one("resolved"))),
        ("grafana_alerting", notification(one()), notification(one("resolved"))),
        ("legacy_grafana_alerting", notification(one()), notification(one("resolved"))),
        ("grafana", notification(one()), notification(one("resolved"))),
        ("grafana", legacy(), legacy("ok")),
    ],
)
def test_what_begins_an_alert_and_what_ends_it_are_one_incident(
    slug: str, fires: Any, over: Any
) -> None:
    (opening,), (ending,) = alerts(slug, fires), alerts(slug, over)
    opened = take([opening])
    assert len(opened.opened) == 1
    assert only(take([ending], opened)).status == "cleared"


def test_what_is_sent_is_kept() -> None:
    (found,) = alerts(
        "formatted_webhook",
        {
            "alert_uid": "08d6891a-835c-e661-39fa-96b6a9e26552",
            "title": "TestAlert: The whole system is down",
            "image_url": "https://upload.example.org/a.gif",
            "state": "alerting",
            "link_to_upstream_details": "https://en.example.org/wiki/Downtime",
            "message": "This alert was sent for testing",
        },
    )
    assert found.data.summary == "TestAlert: The whole system is down"
    assert found.data.annotations == {"description": "This alert was sent for testing"}
    assert len(found.data.links) == 2


@pytest.mark.parametrize("slug", SLUGS)
async def test_its_answers_are_those_of_oncall(api: Served, slug: str) -> None:
    payload = notification(one()) | {"alert_uid": "a1", "title": "x"}
    for end in ("", "/"):
        path = f"/integrations/v1/{slug}/{KEY}{end}"
        assert await api.send(path, payload) == (200, "Ok.")
    status, answer = await api.send(f"/integrations/v1/{slug}/bad/", payload)
    assert (status, list(answer)) == (403, ["detail"])


async def test_a_form_is_a_payload_and_a_file_is_not(api: Served) -> None:
    path = f"/integrations/v1/formatted_webhook/{KEY}/"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await api.send(path, b"alert_uid=a1&title=Disk+full", form))[0] == 200
    (signal,) = api.stored
    assert signal.data.summary == "Disk full"
    file = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await api.send(path, b"--x--", file))[0] == 400
    fields = b"&".join(b"a=1" for _ in range(2_000))
    assert (await api.send(path, fields, form))[0] == 400


async def test_overload_is_told_as_what_passes(api: Served) -> None:
    api.full = True
    path = f"/integrations/v1/alertmanager/{KEY}/"
    status, answer = await api.send(path, notification(one()))
    assert (status, list(answer)) == (503, ["detail"])


MALFORMED = [
    ("webhook", b"", "body"),
    ("webhook", b"not json", "body"),
    ("webhook", b"{", "body"),
    ("webhook", b"\xff", "body"),
    ("webhook", b"null", "body"),
    ("webhook", b"[]", "body"),
    ("webhook", b"7", "body"),
    ("webhook", b'"x"', "body"),
    ("webhook", b"{}", "body"),
    ("formatted_webhook", b"alert_uid=a1", "body"),
    ("formatted_webhook", b'{"alert_uid": "a1",}', "body"),
    ("webhook", b'{"a":' * 100 + b"1" + b"}" * 100, "a.a.a.a"),
    ("alertmanager", b"{}", "body"),
    ("alertmanager", b'{"title": "x"}', "alerts"),
    ("alertmanager", b'{"alerts": []}', "alerts"),
    ("grafana_alerting", b'{"alerts": null}', "alerts"),
    ("legacy_alertmanager", b'{"alerts": 7}', "alerts"),
    ("grafana", b'{"title": "x"}', "alerts"),
    ("grafana", b'{"alerts": "x"}', "alerts"),
    ("kapacitor", b"[{}]", "body"),
    ("no_such_type", b'{"alert_uid": "a1"}', "path"),
]


@pytest.mark.parametrize(("slug", "body", "field"), MALFORMED)
async def test_a_body_that_cannot_be_read_is_refused_by_its_field(
    api: Served, slug: str, body: bytes, field: str
) -> None:
    status, answer = await api.send(f"/integrations/v1/{slug}/{KEY}/", body)
    assert (status, api.stored) == (400, [])
    assert answer["detail"].startswith(f"{field}: ")


FIELDS = ("alert_uid", "title", "state", "message", "id", "level", "subject", "labels", "alerts")


@given(
    st.sampled_from(list(SLUGS)),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), ANYTHING),
)
@settings(deadline=None)
def test_no_payload_makes_it_fail(slug: str, payload: dict[str, Any]) -> None:
    try:
        found = alerts(slug, payload)
    except Malformed:
        return
    assert all(one.data.summary.strip() for one in found)
