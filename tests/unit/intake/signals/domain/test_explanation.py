"""What is kept of a decision."""

from uuid import UUID

import orjson

from services.intake.signals.domain import AlertData, Decision, Group, Signal, Taken
from services.intake.signals.domain.explanation import explanations
from services.intake.signals.domain.preparation import prepare
from services.intake.signals.policy import SignalPolicy
from shared.events.trace_context import TraceContext
from tests.unit.intake.builders import NOON

TRACE = TraceContext("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None)
TAKEN = Taken(Decision.OPENED, UUID(int=1), "the sender's group {alertname}")


def signal(data: AlertData) -> Signal:
    return Signal("am alertmanager", "1", NOON, NOON, TRACE, data, Group(key="{}:{x}"))


def test_it_has_the_inputs_all_reasons_the_policy_and_the_trace() -> None:
    data = AlertData(summary="ask ana@corp.example", severity="P1", labels={"env": "prod"})
    (prepared,) = prepare([signal(data)], SignalPolicy())
    (found,) = orjson.loads(explanations([(prepared, TAKEN)], "abc123"))
    assert found == {
        "policy": "abc123",
        "trace": TRACE.traceparent,
        "sent_at": NOON.isoformat(),
        "kind": "Alert",
        "normalised": ["environment is that of `env`", "severity `P1` is critical"],
        "redacted": [["summary", "e-mail address", 1]],
        "grouped": "the sender's group {alertname}",
        "group": ["{}:{x}", 0, False],
        "data": {
            "summary": "ask [redacted e-mail address]",
            "severity": "critical",
            "status": "firing",
            "environment": "prod",
            "labels": {"env": "prod"},
        },
    }


def test_of_a_large_signal_the_beginning_is_kept() -> None:
    texts = {f"label{n}": "x" * 4000 for n in range(60)}
    large = AlertData(summary="s", labels=texts, annotations=texts, description="d" * 16_000)
    small = AlertData(summary="s")
    kept = explanations([(signal(large), TAKEN), (signal(small), TAKEN)], "abc123")
    assert len(kept) < 10 * 1024
    first, second = orjson.loads(kept)
    assert (first["shortened"], "shortened" in second) == (True, False)
