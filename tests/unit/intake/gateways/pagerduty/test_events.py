"""PagerDuty's events, version 2 and changes: one key opens and closes, what is odd costs itself."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.pagerduty.answers import MAX_BODY_BYTES
from services.intake.gateways.pagerduty.events import read_change, read_event, render_event
from services.intake.gateways.pagerduty.version1 import read_event as read_event_v1
from services.intake.signals.domain import AlertData, ChangeData, Signal, as_alert
from shared.events.cloudevents import Malformed
from tests.support.fuzzing import ANY_JSON
from tests.unit.intake.builders import NOON, submission

PAYLOAD = {"summary": "disk 91 %", "source": "db-1", "severity": "critical"}


def event(action: Any = "trigger", **more: Any) -> dict[str, Any]:
    return {"routing_key": "k", "event_action": action, "dedup_key": "7", **more}


def read(document: Any) -> Signal:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    (signal,) = read_event(submission(body))
    return signal


def data(signal: Signal) -> AlertData:
    assert isinstance(signal.data, AlertData)
    return signal.data


def fingerprint(signal: Signal) -> str:
    alert = as_alert(signal)
    assert alert is not None
    return alert.fingerprint


def test_every_field_has_its_place() -> None:
    signal = read(
        event(
            payload={
                **PAYLOAD,
                "timestamp": "2026-03-01T12:30:00+01:00",
                "component": "postgres",
                "group": "prod",
                "class": "disk",
                "custom_details": {
                    "service": "orders",
                    "source": "not this",
                    "free": 9,
                    "firing": "Labels:\n - a",
                    "nested": {"a": [1]},
                },
            },
            client="Nagios",
            client_url="https://nagios.example/7",
            links=[{"href": "https://runbook.example", "text": "runbook"}, {"href": "nonsense"}],
            images=[{"src": "https://graph.example/1.png", "alt": "graph"}, 7],
        )
    )
    alert = data(signal)
    assert signal.origin == "key pagerduty"
    assert signal.sent_at == alert.starts_at == datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
    assert (alert.status, alert.summary, alert.severity) == ("firing", "disk 91 %", "critical")
    assert (alert.key, alert.service) == ("7", "orders")
    assert alert.labels == {
        "source": "db-1",
        "component": "postgres",
        "group": "prod",
        "class": "disk",
        "client": "Nagios",
        "service": "orders",
        "free": "9",
    }
    assert alert.annotations == {"firing": "Labels:\n - a", "nested": '{"a":[1]}'}
    assert alert.links == [
        "https://nagios.example/7",
        "https://runbook.example",
        "https://graph.example/1.png",
    ]


@pytest.mark.parametrize("key", ["7", 7, "x" * 5_000, "ü" * 300, " "])
def test_one_key_opens_acknowledges_and_closes_whatever_else_is_sent(key: Any) -> None:
    opened = read(event(dedup_key=key, payload=PAYLOAD))
    others = [
        read(event("acknowledge", dedup_key=key)),
        read(event("resolve", dedup_key=key)),
        read(event("resolve", dedup_key=key, payload=PAYLOAD | {"summary": "disk ok"})),
    ]
    one = {"service_key": "k", "event_type": "resolve", "incident_key": key}
    others += read_event_v1(submission(orjson.dumps(one)))
    assert {fingerprint(opened)} == {fingerprint(other) for other in others}
    assert [data(other).status for other in others] == ["acknowledged", *["resolved"] * 3]


def test_long_keys_stay_apart() -> None:
    signals = [read(event(dedup_key="x" * 1_000 + end, payload=PAYLOAD)) for end in "ab"]
    assert fingerprint(signals[0]) != fingerprint(signals[1])


def test_the_key_of_the_answer_closes_the_alert() -> None:
    for key in (None, "", "7", "x" * 5_000):
        opened = read(event(dedup_key=key, payload=PAYLOAD))
        answer = render_event([opened], {})
        assert answer["status"] == "success"
        closed = read(event("resolve", dedup_key=answer["dedup_key"]))
        assert fingerprint(closed) == fingerprint(opened)


def test_without_a_key_every_trigger_is_an_alert_of_its_own() -> None:
    signals = [read(event(dedup_key=None, payload=PAYLOAD)) for _ in range(2)]
    assert data(signals[0]).key != data(signals[1]).key


@pytest.mark.parametrize("severity", ["page", "none", "", None, 7, {}, "CRITICAL", "x" * 500])
@pytest.mark.parametrize("source", ["", None, [], "db-1"])
def test_an_odd_severity_or_source_costs_itself(severity: Any, source: Any) -> None:
    assert read(event(payload={"summary": "x", "severity": severity, "source": source}))
    assert read(event(payload={"summary": "x"}))


@pytest.mark.parametrize(
    "odd",
    [
        {"timestamp": "yesterday"},
        {"timestamp": "0001-01-01T00:00:00Z"},
        {"timestamp": {}},
        {"custom_details": "text"},
        {"custom_details": [1, {"a": "\x00"}]},
        {"custom_details": {"\x00": "x", "": "y", "a": None}},
        {"custom_details": {str(n): "v" * 1_500 for n in range(300)}},
        {"summary": "x" * 5_000},
        {"component": {"a": 1}},
    ],
)
def test_an_odd_field_costs_itself(odd: dict[str, Any]) -> None:
    alert = data(read(event(payload=PAYLOAD | odd, links="no", images={"src": 1}, client=[])))
    assert alert.starts_at is None
    assert len(orjson.dumps(alert.model_dump())) < 300 * 1024


MALFORMED: list[tuple[Any, str]] = [
    (b"", "body"),
    (b"{", "body"),
    (b"\xff\xfe", "body"),
    (b"[" * 100_000, "body"),
    (b"{}" + b" " * MAX_BODY_BYTES, "body"),
    ([], "body"),
    ([event(payload=PAYLOAD)], "body"),
    ("text", "body"),
    (None, "body"),
    ({}, "routing_key"),
    ({"routing_key": "k"}, "event_action"),
    (event(None), "event_action"),
    (event("Trigger", payload=PAYLOAD), "event_action"),
    (event("close"), "event_action"),
    (event(["trigger"]), "event_action"),
    (event("acknowledge", dedup_key=""), "dedup_key"),
    (event("resolve", dedup_key=None), "dedup_key"),
    (event("resolve", dedup_key={"a": 1}), "dedup_key"),
    (event("resolve", dedup_key="\x00"), "dedup_key"),
    (event(), "payload.summary"),
    (event(payload="text"), "payload.summary"),
    (event(payload={}), "payload.summary"),
    (event(payload={"summary": " \n"}), "payload.summary"),
    (event(payload={"summary": None, "source": "x"}), "payload.summary"),
]


@pytest.mark.parametrize(("document", "field"), MALFORMED)
def test_what_can_never_be_taken_is_named(document: Any, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(document)
    assert caught.value.field == field


NAMES = (
    *("dedup_key", "client", "client_url", "links", "images"),
    *("incident_key", "description", "details", "contexts"),
)
IN_PAYLOAD = ("source", "severity", "timestamp", "component", "group", "class", "custom_details")
PAYLOADS = st.fixed_dictionaries(
    {"summary": ANY_JSON}, optional=dict.fromkeys(IN_PAYLOAD, ANY_JSON)
)
ACTIONS = st.sampled_from(["trigger", "acknowledge", "resolve"]) | ANY_JSON


@given(
    st.fixed_dictionaries(
        {"event_action": ACTIONS, "event_type": ACTIONS, "payload": PAYLOADS | ANY_JSON}
        | {"routing_key": st.just("k"), "service_key": st.just("k")},
        optional=dict.fromkeys(NAMES, ANY_JSON),
    )
    | ANY_JSON
)
def test_no_document_raises_anything_else(document: Any) -> None:
    sent = submission(json.dumps(document).encode())
    for reader in (read_event, read_change, read_event_v1):
        try:
            (signal,) = reader(sent)
        except Malformed:
            continue
        assert signal.data.summary.strip()


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for reader in (read_event, read_change, read_event_v1):
        with pytest.raises(Malformed):
            reader(submission(body))


class TestAChange:
    """Change events never page."""

    def read(self, document: Any) -> ChangeData:
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        (signal,) = read_change(submission(body))
        assert isinstance(signal.data, ChangeData)
        assert signal.origin == "key pagerduty"
        return signal.data

    def test_every_field_has_its_place(self) -> None:
        change = self.read(
            {
                "routing_key": "k",
                "payload": {
                    "summary": "build 42 deployed",
                    "source": "ci",
                    "timestamp": "2026-03-01T11:00:00+00:00Z",  # the SDK's own way
                    "custom_details": {"service": "orders", "version": 42, "log": "a\nb"},
                },
                "links": [{"href": "https://ci.example/42", "text": "build"}],
            }
        )
        assert (change.summary, change.service, change.version) == (
            *("build 42 deployed", "orders"),
            "42",
        )
        assert change.labels["source"] == "ci"
        assert change.links == ["https://ci.example/42"]

    @pytest.mark.parametrize(
        ("document", "field"),
        [
            (b"", "body"),
            (b"nonsense", "body"),
            ([], "body"),
            ({"routing_key": "k"}, "payload.summary"),
            ({"routing_key": "k", "payload": []}, "payload.summary"),
            ({"routing_key": "k", "payload": {"source": "ci"}}, "payload.summary"),
            ({"routing_key": "k", "payload": {"summary": ""}}, "payload.summary"),
            ({"routing_key": "k", "payload": {"summary": "\t"}}, "payload.summary"),
        ],
    )
    def test_what_can_never_be_taken_is_named(self, document: Any, field: str) -> None:
        with pytest.raises(Malformed) as caught:
            self.read(document)
        assert caught.value.field == field


def test_a_signal_without_a_time_counts_from_its_arrival() -> None:
    assert read(event(payload=PAYLOAD)).sent_at == NOON
