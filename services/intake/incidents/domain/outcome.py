"""What a batch of signals leads to, before it is written; and the same for people who try one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.intake.incidents.domain.incident import BatchResult, Incident
from services.intake.signals.domain import Decision, Identity, Signal, Taken
from services.intake.signals.domain.explanation import explanations
from shared.events.reference import format_reference

_REPEAT = Taken(Decision.REPEAT, None)
_SHOWN = (
    *(
        "status",
        "kind",
        "kind_by",
        "kind_note",
        "severity",
        "severity_reason",
        "summary",
        "service",
        "component",
    ),
    *("environment", "category", "fingerprint", "signal_count", "alerts_firing", "opened_at"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`records` are the signals that open no incident; `decided` has all that are new, in order;
    `version` is that of the policy.
    """

    sent: Sequence[Signal]
    result: BatchResult
    records: Sequence[Signal]
    decided: Sequence[tuple[Signal, Taken]]
    version: str

    def taken(self) -> dict[Identity, Taken]:
        """The decision about each; those that are not new are repeats."""
        repeats = dict.fromkeys((signal.identity for signal in self.sent), _REPEAT)
        return repeats | {signal.identity: taken for signal, taken in self.decided}

    def counts(self, signals: int) -> Counter[Decision]:
        """How many of all signals, repeats within the batch included, had which decision."""
        repeats = {Decision.REPEAT: signals - len(self.decided)}
        return Counter(taken.decision for _, taken in self.decided) + Counter(repeats)

    def explained(self) -> list[dict[str, Any]]:
        """Each signal with the decision about it and its grounds, as they would be stored; and the
        incident that it would go into, as it would be then.
        """
        decisions = self.taken()
        incidents = self.result.changed | self.result.opened
        answers = []
        for signal in self.sent:
            taken = decisions[signal.identity]
            explained = orjson.loads(explanations([(signal, taken)], self.version))
            incident = incidents.get(taken.subject) if taken.subject else None
            answers.append(
                {
                    "origin": signal.origin,
                    "signal_id": signal.signal_id,
                    "decision": taken.decision.value,
                    "incident": shown(incident) if incident else None,
                    "explanation": explained[0],
                }
            )
        return answers


def shown(incident: Incident) -> dict[str, Any]:
    """What an explanation shows of an incident."""
    return {"incident": format_reference(incident.number)} | {
        name: getattr(incident, name) for name in _SHOWN
    }
