"""What could not be worked on is told to the operators, through the outbox of the service that gave up."""

from datetime import datetime
from typing import Any

from shared.events.facts import event_message, new_event, next_sequence
from shared.events.rejections import MessageDeadLettered
from shared.ids import uuid7
from shared.outbox import OutboxMessage
from shared.trace_context import TraceContext

_MAX_REASON = 2000


def dead_letter(
    service: str, reason: str, origin: str, now: datetime, trace: TraceContext | None = None, **where: Any
) -> OutboxMessage:
    """The message on the dead letters, a subject of its own; `where` are MessageDeadLettered's other fields."""
    fact = MessageDeadLettered(service=service, reason=reason[:_MAX_REASON], origin=origin, **where)
    return event_message(new_event(uuid7(), next_sequence(0, 0), now, fact, trace))
