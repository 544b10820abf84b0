"""A channel in use."""

from typing import Protocol

from services.escalation.delivery.domain.page import Notice
from shared.events.trace_context import TraceContext


class Transport(Protocol):
    """Sends pages over one channel, and holds its connections."""

    async def send(self, notice: Notice, address: str, trace: TraceContext | None) -> None:
        """Return when the receiver has confirmed; raise NotDelivered otherwise."""

    async def close(self) -> None:
        """Close the connections."""
