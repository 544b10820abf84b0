"""A person says that an incident is something else."""

import pytest

from services.intake.incidents.domain.ending import close
from services.intake.incidents.domain.reclassification import OtherKind, Reclassify, reclassify
from services.intake.signals.domain import ChangeData, RequestData
from shared.events.intake import IncidentReclassified
from tests.unit.intake.builders import NOON, alert, decisions, kinds, only, take

ORDER = Reclassify("request", "ben", "she asks for access")


def test_it_is_said_by_whom_and_why_and_a_request_is_logged_once() -> None:
    incident = only(take([alert(description="for Thursday")]))
    done = reclassify(incident, ORDER, 0, NOON)
    assert done.event is not None
    assert isinstance(done.event.fact, IncidentReclassified)
    reported = done.event.fact.incident
    assert (reported.kind, reported.kind_by, reported.kind_note) == (
        "request",
        "ben",
        "she asks for access",
    )
    assert reported.status == "open"
    assert done.logged is not None
    assert isinstance(done.logged.data, RequestData)
    assert done.logged.data.description == "for Thursday"
    assert done.event.fact.logged_as == done.logged.subject
    again = reclassify(done.incident, Reclassify("change", "ana"), 0, NOON)
    assert (again.event, again.logged) == (None, None)
    assert again.said == "ben said already: it is a request"


@pytest.mark.parametrize(("kind", "logged"), [("change", "deployment"), ("patch", "patch")])
def test_it_may_be_a_change(kind: OtherKind, logged: str) -> None:
    done = reclassify(only(take([alert()])), Reclassify(kind, "ben"), 0, NOON)
    assert done.logged is not None
    assert isinstance(done.logged.data, ChangeData)
    assert done.logged.data.kind == logged


def test_what_is_over_stays_what_it_was() -> None:
    over = take([alert("resolved")], take([alert()]))
    done = reclassify(only(over), ORDER, 0, NOON)
    assert (done.event, done.said) == (None, "it has cleared: what is over stays")


def test_its_alerts_go_on_joining_it_until_they_clear_whatever_responders_did() -> None:
    opened = take([alert()])
    changed = reclassify(only(opened), ORDER, 0, NOON).incident
    kept, event = close(changed, changed.sequence, iter(()), 0, NOON)
    assert (kept, event) == (changed, None)
    opened.opened[kept.incident_id] = kept
    joined = take([alert()], opened)
    assert decisions(joined) == ["joined"]
    cleared = take([alert("resolved")], joined)
    assert decisions(cleared) == ["cleared"]
    assert [kind.__name__ for kind in kinds(cleared)] == ["IncidentCleared"]
