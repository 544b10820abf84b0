"""Alertmanager's notifications: what senders may get wrong costs a part of an alert at most, and
never its page.
"""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.alertmanager import MAX_ALERTS, read_webhook
from services.intake.gateways.alertmanager.alerts import fingerprint, text
from services.intake.incidents.domain.fold import fold_alerts
from services.intake.incidents.domain.grouping import group_alerts
from services.intake.incidents.domain.meeting import Met
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert, AlertData, Group, Signal, as_alert
from shared.events.cloudevents import Malformed
from tests.support.fuzzing import ANY_JSON
from tests.unit.intake.builders import submission

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAX_EVENT_BYTES = 300 * 1024  # Kafka takes 1 MB, and triage repeats an incident beside its reasons


def read(document: Any) -> list[Signal]:
    body = orjson.dumps(document)
    return read_webhook(submission(body))


def notification(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "g", "alerts": list(alerts), **more}


def one(status: str = "firing", name: str = "DiskFull", **alert: Any) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name},
        "startsAt": "2026-03-01T12:00:00Z",
        "fingerprint": name,
        **alert,
    }


def webhook(**alert: Any) -> Signal:
    (signal,) = read(notification(one(**alert)))
    return signal


def data(signal: Signal) -> AlertData:
    assert isinstance(signal.data, AlertData)
    return signal.data


def reported_bytes(signal: Signal) -> int:
    """How large the fact is that makes the signal's incident known."""
    alert = as_alert(signal)
    assert isinstance(alert, Alert)
    result = fold_alerts(
        group_alerts([alert], IntakePolicy()), Met(), iter([1000]), IntakePolicy(), 0, NOON
    )
    (event,) = result.events
    return len(event.fact.model_dump_json().encode())


@pytest.mark.parametrize(
    "starts_at", ["0001-01-01T00:00:00", "0001-01-01T00:00:00+05:00", "", "yesterday", None, {}]
)
def test_an_alert_without_a_usable_start_counts_from_its_arrival(starts_at: Any) -> None:
    assert webhook(startsAt=starts_at).sent_at == NOON


def test_the_newest_of_an_alert_group_is_told_across_time_zones() -> None:
    older = webhook(startsAt="2026-03-01T13:00:00+01:00")
    newer = webhook(startsAt="2026-03-01T12:30:00Z")
    assert older.sent_at.isoformat() < newer.sent_at.isoformat(), "they are compared as text"


def test_a_label_whose_name_is_nothing_but_nul_is_left_out() -> None:
    signal = webhook(labels={"\x00": "x", "alertname": "DiskFull"})
    assert data(signal).labels == {"alertname": "DiskFull"}


@pytest.mark.parametrize("odd", [None, 7, "text", [], {"labels": [1], "annotations": "x"}])
def test_one_odd_alert_never_blocks_its_group(odd: Any) -> None:
    signals = read(notification(one(), odd))
    assert [data(signal).summary for signal in signals] == ["DiskFull", "alert without a name"]


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u2003"])
def test_a_blank_summary_gives_way_to_the_next_text(blank: str) -> None:
    annotations = {"summary": blank, "description": "90 % used"}
    assert data(webhook(annotations=annotations)).summary == "90 % used"
    assert data(webhook(annotations={"summary": blank})).summary == "DiskFull"
    assert data(webhook(labels={"alertname": blank})).summary == "alert without a name"


@pytest.mark.parametrize(
    ("labels", "annotations"),
    [
        (120, 120),  # names of 250 and values of 500 control characters, six bytes each
        (128, 0),
        (0, 128),
        (300, 300),
    ],
)
@pytest.mark.parametrize("character", ["\x1b", "ü", "\N{BELL}", '"', "a"])
def test_an_alert_of_any_size_becomes_an_event_that_fits_into_a_message(
    labels: int, annotations: int, character: str
) -> None:
    def texts(count: int) -> dict[str, str]:
        return {f"{number:04}" + character * 246: character * 4096 for number in range(count)}

    links = {"runbook_url": character * 5_000, "dashboard": character * 5_000}
    signal = webhook(
        labels={**texts(labels), "alertname": "DiskFull", "severity": "critical"},
        annotations={"summary": character * 3_000, **links, **texts(annotations)},
        generatorURL=character * 5_000,
    )
    assert reported_bytes(signal) <= MAX_EVENT_BYTES
    assert data(signal).severity == "critical"
    if labels == 300:
        assert data(signal).labels["alertname"] == "DiskFull"
        assert data(signal).labels["…"].endswith("more were left out")


@pytest.mark.parametrize("of", ["group", "alert"])
def test_long_keys_stay_apart(of: str) -> None:
    keys = set()
    for end in "ab":
        long = "x" * 100_000 + end
        sent = notification(one(fingerprint=long), groupKey=long)
        (signal,) = read(sent)
        assert signal.group is not None
        keys.add(signal.group.key if of == "group" else data(signal).key)
    assert len(keys) == 2
    assert all(key is not None and len(key) <= 255 for key in keys)


def test_an_alert_is_known_whatever_group_it_comes_in() -> None:
    (one_group,) = read(notification(one(), groupKey="{}:{alertname=DiskFull}"))
    (other,) = read(notification(one("resolved"), groupKey="{}:{instance=db-3}"))
    assert data(one_group).key == data(other).key == "DiskFull"
    assert one_group.group != other.group


def test_without_a_fingerprint_it_is_known_by_its_labels() -> None:
    del (sent := one())["fingerprint"]
    (signal,) = read(notification(sent))
    assert data(signal).key == fingerprint({"alertname": "DiskFull"})


class TestTheGroup:
    """What a notification says of alerts that it does not list."""

    @pytest.mark.parametrize(
        ("statuses", "truncated", "reason", "group"),
        [
            (["firing", "resolved"], 0, "", Group()),
            (["firing", "resolved"], 3, "", Group(3)),
            (["resolved", "resolved"], 0, "", Group(all_resolved=True)),
            # Alertmanager calls this notification `resolved`, whether the other three fire or not.
            (["resolved", "resolved"], 3, "", Group(3, all_resolved=None)),
            (
                ["resolved", "resolved"],
                3,
                "a reason of a later version",
                Group(3, all_resolved=None),
            ),
            (["resolved", "resolved"], 3, "all alerts resolved", Group(all_resolved=True)),
            (["resolved", "resolved"], 3, "some alerts resolved", Group(3)),
            (["resolved", "resolved"], 3, "repeat interval elapsed", Group(3)),
            (["firing", "resolved"], 3, "all alerts resolved", Group(3)),
            (["firing"], -1, "", Group()),
            (["firing"], "many", "", Group()),
        ],
    )
    def test_it_is_over_when_nothing_of_it_fires(
        self, statuses: list[str], truncated: Any, reason: str, group: Group
    ) -> None:
        alerts = [one(status, name=str(place)) for place, status in enumerate(statuses)]
        more = {"truncatedAlerts": truncated, "notification_reason": reason}
        signals = read(notification(*alerts, status=statuses[-1], **more))
        told = [signal.group for signal in signals if signal.group and signal.group.is_told]
        assert told == [replace(group, key="g")]
        place = -1 if group.all_resolved else 0
        assert signals[place].group == told[0]
        assert {signal.group.key for signal in signals if signal.group} == {"g"}

    def test_alerts_that_fire_come_before_those_that_are_resolved(self) -> None:
        alerts = [one("resolved", "a"), one("firing", "b"), one("resolved", "c"), one("odd", "d")]
        signals = read(notification(*alerts))
        assert [data(signal).key for signal in signals] == ["b", "d", "a", "c"]

    def test_of_more_alerts_than_are_taken_the_rest_is_counted(self) -> None:
        alerts = [one("resolved", "r"), *(one("firing", str(n)) for n in range(MAX_ALERTS + 5))]
        signals = read(notification(*alerts, truncatedAlerts=7))
        assert len(signals) == MAX_ALERTS
        assert signals[0].group == Group(5 + 7, key="g")

    def test_of_more_resolved_alerts_than_are_taken_the_group_is_over(self) -> None:
        signals = read(notification(*(one("resolved", str(n)) for n in range(MAX_ALERTS + 5))))
        assert len(signals) == MAX_ALERTS
        assert signals[-1].group == Group(all_resolved=True, key="g")


@pytest.mark.parametrize("version", [4, "4", None])
def test_the_version_is_read_as_it_comes(version: Any) -> None:
    assert len(read(notification(one()) | {"version": version})) == 1


@pytest.mark.parametrize("url", ["?orgId=1", "", None, 7, [], "http://[", "x" * 5_000])
def test_a_link_that_is_none_is_a_text(url: Any) -> None:
    signal = webhook(generatorURL=url, labels={"alertname": "DiskFull", "team": "a"})
    assert data(signal).labels == {"alertname": "DiskFull", "team": "a"}
    assert data(signal).links == ([] if url in ("", None) else [text(url, 2048)])


def test_an_alert_with_nothing_but_a_name_is_taken() -> None:
    signal = webhook(annotations={"severity": "critical"})
    assert (data(signal).severity, data(signal).service) == ("critical", None)


MALFORMED: list[tuple[Any, str]] = [
    ([], "body"),
    (None, "body"),
    ("text", "body"),
    (7, "body"),
    (True, "body"),
    ({}, "body.alerts"),
    ({"version": "4"}, "body.alerts"),
    ({"alerts": None}, "body.alerts"),
    ({"alerts": {}}, "body.alerts"),
    ({"alerts": "text"}, "body.alerts"),
    ({"Alerts": [{}]}, "body.alerts"),
    (notification(), "body.alerts"),
    (notification(one()) | {"version": "3"}, "version"),
    (notification(one()) | {"version": "1"}, "version"),
    (notification(one()) | {"version": ""}, "version"),
    (notification(one()) | {"version": "x" * 500}, "version"),
    (notification(one()) | {"version": 5}, "version"),
    (notification(one()) | {"version": ["4"]}, "version"),
    (notification(one(), x=orjson.loads("[" * 80 + "]" * 80)), "x.0"),
]


@pytest.mark.parametrize(("document", "field"), MALFORMED)
def test_what_is_no_notification_is_refused_by_its_field(document: Any, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(document)
    assert refused.value.field.startswith(field)
    assert refused.value.reason


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"alerts": [{"labels": {"a": "\xff"}}]}', b"[" * 100_000, b"\x1f\x8b"]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read_webhook(submission(body))
    assert refused.value.field == "body"


FIELDS = ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
ALERT = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY_JSON))
WEBHOOK = st.fixed_dictionaries(
    {"alerts": st.lists(ALERT | ANY_JSON, max_size=4) | ANY_JSON},
    optional=dict.fromkeys(
        ("version", "groupKey", "truncatedAlerts", "notification_reason"), ANY_JSON
    ),
)


@given(WEBHOOK | ANY_JSON)
def test_any_json_is_taken_or_refused(document: Any) -> None:
    with suppress(Malformed):
        read_webhook(submission(json.dumps(document).encode()))
