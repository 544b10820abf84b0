"""Facts in words."""

from typing import get_args

import pytest

from services.reporting.timeline.domain.wording import ResponseFact, describe
from shared.events import escalation, intake, triage
from shared.events.facts import Fact
from tests.support.outage import Outage
from tests.unit.reporting.timeline.domain.test_state import EVENTS

NOT_ABOUT_INCIDENTS = {intake.RequestLogged, intake.ChangeRecorded, triage.RequestRouted}


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
