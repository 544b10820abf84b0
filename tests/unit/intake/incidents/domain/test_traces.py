"""Repeats say in their own traces which incident they joined, and nothing in the incident's."""

from dataclasses import replace

from services.intake.incidents.domain.traces import joined_traces
from services.intake.signals.domain import Alert
from shared.events.trace_context import TraceContext
from tests.unit.intake.builders import alert, only, take


def trace(letter: str) -> TraceContext:
    return TraceContext(f"00-{letter * 32}-{letter * 16}-01")


def traced(letter: str | None) -> Alert:
    made = alert()
    position = trace(letter) if letter else None
    return replace(made, signal=replace(made.signal, trace=position))


def test_each_other_trace_is_linked_once_and_the_own_one_never() -> None:
    letters = ["a", "a", "b", "b", "c", None]
    result = take([traced(letter) for letter in letters])
    incident_id = only(result).incident_id
    (joined,) = joined_traces(result, {incident_id: trace("a")})
    assert (joined.incident_id, joined.first) == (incident_id, trace("b"))
    assert joined.links == [trace("a"), trace("c")]
