"""Ids that say what came of a request, and which incident an alert is of."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.opsgenie.identifiers import (
    Outcome,
    alert_id,
    incident_of,
    own_alias,
    read_request_id,
    request_id,
)

INCIDENT = UUID("0199e1d0-0000-7000-8000-000000000001")
DONE = Outcome("Create", True, "Created alert", alert_id(INCIDENT, "disk"), "disk")


def test_a_request_id_says_what_came_of_it_to_its_own_integration() -> None:
    given_id = request_id("nagios", DONE)
    read = read_request_id("nagios", given_id)
    assert read is not None
    assert read[0] == DONE
    assert read_request_id("other", given_id) is None
    assert request_id("nagios", DONE) != given_id, "each request has an id of its own"


def test_a_request_id_with_another_character_is_none() -> None:
    given_id = request_id("nagios", DONE)
    for place in range(len(given_id) - 1):
        other = "A" if given_id[place] != "A" else "B"
        assert read_request_id("nagios", given_id[:place] + other + given_id[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "x", "43a29c5c-3dbf-4fa4-9c26-f4f71023e120", "ü", "A" * 9999])
def test_any_other_text_is_no_request(text: str) -> None:
    assert read_request_id("nagios", text) is None


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    assert read_request_id("nagios", text) is None
    incident_of(text)


@given(st.text(max_size=255), st.text(max_size=255))
def test_an_id_names_its_incident_and_its_alert(one: str, other: str) -> None:
    assert incident_of(alert_id(INCIDENT, one)) == INCIDENT
    assert (alert_id(INCIDENT, one) == alert_id(INCIDENT, other)) == (one == other)


def test_the_alias_of_an_alert_without_one_is_its_id() -> None:
    assert alert_id(INCIDENT, own_alias(INCIDENT)) == own_alias(INCIDENT)
    assert incident_of(own_alias(INCIDENT)) == INCIDENT
