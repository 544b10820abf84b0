"""One entry per event, also of facts that only a newer service knows."""

import json
from dataclasses import replace

import pytest

from services.reporting.timeline.domain.entries import make_entry, make_unknown_entry
from shared.events import triage
from shared.events.cloudevents import from_record
from shared.events.facts import Fact, event_message
from shared.kafka.record import Record
from tests.support.outage import OPENED, Outage


def test_a_long_summary_is_shortened_in_the_title() -> None:
    found = make_entry(Outage(summary="x" * 5000).reported())
    assert len(found.title) == 300
    assert found.title.endswith("…")


def test_what_is_empty_is_left_out_of_the_detail() -> None:
    entry = make_entry(Outage().escalated(1, 1, "ana"))
    assert "skipped" not in entry.detail
    assert entry.detail["round"] == 1


def unknown(**changes: object) -> Record:
    """A record of triage with a fact of which this version has not heard."""
    document = json.loads(event_message(Outage().triaged()).value or b"")
    document |= {"type": "tocsin.triage.IncidentSuppressed", "data": {"triage": {"new": 1}}}
    return Record(triage.TOPIC, 0, 0, OPENED, b"k", json.dumps(document | changes).encode())


def test_a_fact_of_a_newer_service_is_shown_by_its_name() -> None:
    record = unknown()
    entry = make_unknown_entry(from_record(record), OPENED)
    assert entry
    assert (entry.type, entry.title, entry.producer) == (
        "IncidentSuppressed",
        "IncidentSuppressed",
        "triage",
    )
    assert (entry.sequence, entry.detail) == (1, {})
    assert entry.at == Outage().triaged().time
    untimed = make_unknown_entry(from_record(unknown(time=None)), OPENED)
    assert untimed
    assert untimed.at == OPENED
    assert entry.trace_id
    assert entry.span_id


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"budget": {}}},
        {"data": {"triage": 1}},
        {"data": []},
        {"subject": "not-an-incident"},
        {"sequence": "first"},
        {"type": "com.example.triage.Suppressed"},
    ],
)
def test_what_is_not_about_an_incident_has_no_entry(changes: dict[str, object]) -> None:
    assert make_unknown_entry(from_record(unknown(**changes)), OPENED) is None


def test_a_fact_without_words_is_shown_by_its_name() -> None:
    class IncidentPondered(Fact):
        """A fact of triage that somebody has added without words for it."""

        type = "tocsin.triage.IncidentPondered"
        triage: triage.TriagedIncident

    known = Outage().triaged()
    fact = IncidentPondered(triage=known.data.triage)  # type: ignore[attr-defined]
    entry = make_entry(replace(known, data=fact))
    assert (entry.title, entry.type, entry.detail) == ("IncidentPondered", "IncidentPondered", {})
