"""Which traces a batch joins to which incidents."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from services.intake.incidents.domain.incident import BatchResult
from services.intake.signals.domain import Decision
from shared.events.trace_context import TraceContext


@dataclass(frozen=True, slots=True)
class Joined:
    """The traces of the signals that joined an incident, other than the incident's own."""

    incident_id: UUID
    first: TraceContext
    links: list[TraceContext]


def joined_traces(result: BatchResult, traces: Mapping[UUID, TraceContext]) -> Iterator[Joined]:
    """One for each incident that signals of other traces joined; `traces` are the incidents'."""
    joined: dict[UUID, dict[TraceContext, None]] = {}
    for alert, taken in result.decisions:
        trace, subject = alert.signal.trace, taken.subject
        if taken.decision is not Decision.JOINED or trace is None or subject is None:
            continue
        if trace.trace_id != traces[subject].trace_id:
            joined.setdefault(subject, {})[trace] = None
    for subject, (first, *others) in joined.items():
        yield Joined(subject, first, [traces[subject], *others])
