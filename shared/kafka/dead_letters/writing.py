"""What could not be worked on is told to the operators, through the outbox of the service that gave
up.
"""

from datetime import datetime
from typing import Any

from shared.events.facts import event_message, new_event
from shared.events.ids import uuid7
from shared.events.message import OutboxMessage
from shared.events.rejections import MessageDeadLettered
from shared.events.trace_context import TraceContext
from shared.telemetry import measure
from shared.telemetry.metrics import DEAD_LETTERS

_MAX_REASON = 2000


def reason_of(error: Exception) -> str:
    """What an error is and says, within bounds and in characters that JSON can carry."""
    return f"{type(error).__qualname__}: {error}"[:_MAX_REASON].encode(errors="replace").decode()


def count_from(origin: str) -> None:
    """Begin the count of an origin at 0: for Prometheus a series that begins at 1 has not risen."""
    measure(DEAD_LETTERS, 0, origin)


def dead_letter(
    service: str,
    reason: str,
    origin: str,
    now: datetime,
    trace: TraceContext | None = None,
    **where: Any,
) -> OutboxMessage:
    """The message on the dead letters, a subject of its own. It is counted. `where` are the fact's
    other fields.
    """
    measure(DEAD_LETTERS, 1, origin.partition(" ")[0])
    fact = MessageDeadLettered(service=service, reason=reason, origin=origin, **where)
    return event_message(new_event(uuid7(), 1, now, fact, trace))
