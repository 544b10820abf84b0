"""Facts in words."""

from typing import get_args

import pytest

from services.reporting.timeline.domain.wording import ResponseFact, describe
from shared.events import escalation, intake, triage
from shared.events.facts import Fact
from tests.support.outage import Outage
from tests.unit.reporting.timeline.domain.test_state import EVENTS

NOT_ABOUT_INCIDENTS = {
    intake.AdvisoryRecorded,
    intake.RequestLogged,
    intake.ChangeRecorded,
    triage.RequestRouted,
}


@pytest.mark.parametrize("topic", [intake.TOPIC, triage.TOPIC, escalation.TOPIC])
def test_every_fact_about_an_incident_has_words(topic: str) -> None:
    facts = {fact for fact in Fact.registry.values() if fact.topic == topic}
    worded = {*get_args(intake.IncidentNews), *get_args(triage.TriageFact), *get_args(ResponseFact)}
    assert facts - NOT_ABOUT_INCIDENTS <= worded


def test_words_are_sentences_and_not_names() -> None:
    for event in EVENTS:
        title, _ = describe(event.data)
        assert title != type(event.data).__name__
        assert title[0].isupper()


def test_a_way_that_only_a_newer_escalation_knows_is_shown_by_its_name() -> None:
    fact = Outage().acknowledged(1).data.model_copy(update={"via": "chat"})
    assert describe(fact)[0] == "Acknowledged by Ana by chat"


def test_a_skipped_step_says_why() -> None:
    fact = Outage().escalated(1, 2, "ben").data
    nobody = fact.model_copy(update={"paged": [], "skipped": ["schedule x: nobody is on call"]})
    title, detail = describe(nobody)
    assert title == "Step 2: nobody"
    assert detail["skipped"] == ["schedule x: nobody is on call"]


def expired() -> Fact:
    return Outage().cleared(5).data.model_copy(update={"reason": "expired"})


@pytest.mark.parametrize(
    ("fact", "title"),
    [
        (Outage().updated(1, signals=1).data, "More was reported: 1 signal so far"),
        (Outage().updated(1, signals=40).data, "More was reported: 40 signals so far"),
        (Outage().cleared(5).data, "Cleared: resolved at the source"),
        (expired(), "Cleared: no signal from the source since"),
        (Outage().page_failed(1, final=True).data, "The page to ana by webhook failed, given up"),
        (Outage().page_failed(1).data, "The page to ana by webhook failed, will be tried again"),
        (Outage().confirmed(1).data, "Triage confirmed: P1, owned by payments"),
        (Outage().resolved(3).data, "Resolved: cleared at the source"),
        (Outage().resolved(3, by="Ana").data, "Resolved by Ana by the API"),
    ],
)
def test_titles(fact: Fact, title: str) -> None:
    assert describe(fact)[0] == title
