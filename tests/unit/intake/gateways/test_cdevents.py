"""CDEvents as the specification's examples have them, and what is refused."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.gateways.cdevents import MAX_BATCH, read_events
from services.intake.signals.domain import AlertData, ChangeData, Signal, read_signal
from shared.events.cloudevents import Malformed, from_record
from shared.kafka.record import Record
from tests.unit.intake.builders import NOON, submission

JSON = "application/json"
ARTIFACT = "pkg:oci/myapp@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"


def cdevent(what: str, content: dict[str, Any], version: str = "0.3.0") -> dict[str, Any]:
    """An event of the specification's version 0.5."""
    return {
        "context": {
            "specversion": "0.5.1",
            "id": "271069a8-fc18-44f1-b38f-9d70a1695819",
            "source": "/event/source/123",
            "type": f"dev.cdevents.{what}.{version}",
            "timestamp": "2026-03-01T11:59:00Z",
        },
        "subject": {"id": "mySubject123", "source": "/event/source/123", "content": content},
        "customData": {"anything": [1, None]},
    }


def old(event: dict[str, Any]) -> dict[str, Any]:
    """The same as version 0.4 had it."""
    context = {name: one for name, one in event["context"].items() if name != "specversion"}
    subject = event["subject"] | {"type": "service"}
    return {"context": context | {"version": "0.4.1"}, "subject": subject}


def enveloped(event: dict[str, Any]) -> dict[str, Any]:
    context = event["context"]
    return {
        "specversion": "1.0",
        "id": context["id"],
        "source": context["source"],
        "type": context["type"],
        "time": context["timestamp"],
        "subject": event["subject"]["id"],
        "datacontenttype": JSON,
        "data": event,
    }


def read(body: Any, content_type: str = JSON, **headers: str) -> list[Signal]:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_events(submission(data, content_type, raw))


DEPLOYED = cdevent(
    "service.deployed", {"environment": {"id": "test123", "source": "/k8s"}, "artifactId": ARTIFACT}
)
DETECTED = cdevent(
    "incident.detected",
    {
        "description": "Response time above 10ms",
        "environment": {"id": "prod1"},
        "service": {"id": "myApp"},
        "artifactId": "pkg:oci/myapp@0.0.1?repository_url=registry.example",
    },
)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("deployed", "deployment"),
        ("upgraded", "deployment"),
        ("rolledback", "rollback"),
        ("published", "deployment"),
        ("removed", "configuration"),
    ],
)
def test_what_happens_to_a_service_is_a_change(what: str, kind: str) -> None:
    event = cdevent(f"service.{what}", DEPLOYED["subject"]["content"])
    (signal,) = read(event)
    assert isinstance(signal.data, ChangeData)
    assert (signal.data.kind, signal.data.service) == (kind, "mySubject123")
    digest = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
    assert signal.data.version == digest
    assert signal.data.labels == {"environment": "test123", "artifact": ARTIFACT}
    assert signal.data.summary.startswith("mySubject123 was ")
    assert signal.sent_at.isoformat() == "2026-03-01T11:59:00+00:00"


@pytest.mark.parametrize(
    ("what", "status"), [("detected", "firing"), ("reported", "firing"), ("resolved", "resolved")]
)
def test_what_is_said_of_an_incident_is_an_alert(what: str, status: str) -> None:
    content = DETECTED["subject"]["content"] | {"ticketURI": "https://tickets.example/1"}
    (signal,) = read(cdevent(f"incident.{what}", content))
    assert isinstance(signal.data, AlertData)
    assert (signal.data.status, signal.data.key) == (status, "mySubject123")
    assert (signal.data.service, signal.data.summary) == ("myApp", "Response time above 10ms")
    assert signal.data.links == ["https://tickets.example/1"]


def test_every_way_to_send_one_gives_the_same_signal() -> None:
    headers = {
        f"ce-{name}": str(value)
        for name, value in enveloped(DEPLOYED).items()
        if name not in ("data", "datacontenttype")
    }
    ways = [
        read(DEPLOYED),
        read(enveloped(DEPLOYED), "application/cloudevents+json"),
        read([enveloped(DEPLOYED)], "application/cloudevents-batch+json"),
        read(DEPLOYED, JSON, **headers),
    ]
    value = orjson.dumps(enveloped(DEPLOYED))
    structured = (("content-type", b"application/cloudevents+json"),)
    record = Record("tocsin.signals.v1", 0, 0, NOON, None, value, structured)
    ways.append([read_signal(from_record(record), "key", NOON)])
    first, *others = ways
    assert first[0].identity == ("key /event/source/123", DEPLOYED["context"]["id"])
    for other in others:
        assert (other[0].identity, other[0].data) == (first[0].identity, first[0].data)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.4.0-draft", "1.7.3"])
def test_the_version_of_a_type_does_not_matter(version: str) -> None:
    event = cdevent("service.deployed", DEPLOYED["subject"]["content"], version)
    assert read(event)[0].data == read(DEPLOYED)[0].data
    assert read(old(event))[0].data == read(DEPLOYED)[0].data


def test_who_detects_and_who_resolves_may_differ() -> None:
    """The subject's own source counts: a monitor detects what a desk of tickets resolves."""
    resolved = cdevent("incident.resolved", {})
    resolved["context"]["source"] = "/tickets"
    assert read(resolved)[0].origin == read(DETECTED)[0].origin


@pytest.mark.parametrize(
    "what", ["pipelinerun.started", "service", "service.teleported", "incident.closed.0.1.0"]
)
def test_other_events_are_not_refused(what: str) -> None:
    assert read(cdevent(what, {})) == []
    assert len(read([enveloped(cdevent(what, {})), DEPLOYED])) == 1


def test_among_signals_other_events_are_refused_by_their_type() -> None:
    event = enveloped(cdevent("pipelinerun.started", {}))
    headers = (("content-type", b"application/cloudevents+json"),)
    record = Record("tocsin.signals.v1", 0, 0, NOON, None, orjson.dumps(event), headers)
    with pytest.raises(Malformed, match="is not taken; of CDEvents these are"):
        read_signal(from_record(record), "topic", NOON)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"environment": "prod", "artifactId": 7},
        {"environment": {"id": None}, "artifactId": "@"},
        {"artifactId": "pkg:x/y@" + "9" * 5000, "environment": {"id": "e" * 9000}},
        {"description": 5, "service": "x", "ticketURI": "u" * 5000, "artifactId": "a\x00b@%00"},
    ],
)
@pytest.mark.parametrize("what", ["service.deployed", "incident.detected"])
def test_odd_content_costs_its_field(content: Any, what: str) -> None:
    assert len(read(cdevent(what, content))) == 1


def test_a_subject_that_is_too_long_for_a_name_is_shortened() -> None:
    event = DEPLOYED | {"subject": DEPLOYED["subject"] | {"id": "s" * 1000}}
    assert read(event)[0].data.service == "s" * 254 + "…"


def changed(**context: Any) -> dict[str, Any]:
    return DEPLOYED | {"context": DEPLOYED["context"] | context}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"null", "body"),
        (b"7", "body"),
        (b'"text"', "body"),
        ({}, "specversion"),
        ({"context": None}, "context"),
        ({"context": []}, "context"),
        ({"context": {}}, "context.id"),
        (changed(id=None), "context.id"),
        (changed(id=""), "context.id"),
        (changed(id={}), "context.id"),
        (changed(source="x" * 2000), "context.source"),
        (changed(source="\x00"), "context.source"),
        (changed(type="dev.cdevents"), "type"),
        (changed(type="tocsin.signals.Alert"), "type"),
        (changed(type=1.5), "context.type"),
        (DEPLOYED | {"subject": None}, "data.subject"),
        (DEPLOYED | {"subject": {}}, "data.subject.id"),
        (DEPLOYED | {"subject": {"id": ""}}, "data.subject.id"),
        ({"context": DEPLOYED["context"]}, "data.subject"),
        ([DEPLOYED, 7], "[1]."),
        ([DEPLOYED, changed(id=None)], "[1].context.id"),
        ([0] * (MAX_BATCH + 1), "body"),
        (enveloped(DEPLOYED) | {"data": None}, "data"),
        (enveloped(DEPLOYED) | {"specversion": "0.3"}, "specversion"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_field(body: Any, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(body)
    assert refused.value.field == field


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["context", "subject", "id", "type", "source", "content", "environment", "data"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(JSON_VALUES, st.sampled_from(["context", "subject", "content", "id", "source"]))
def test_whatever_is_sent_is_taken_or_refused(value: Any, place: str) -> None:
    event = orjson.loads(orjson.dumps(DEPLOYED))
    within = event["subject"] if place in ("content", "id", "source") else event
    try:
        within[place] = orjson.loads(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return
    for body in (event, value):
        try:
            read(body)
        except (Malformed, orjson.JSONEncodeError):
            continue
