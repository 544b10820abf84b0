"""How many pages may be on their way at a time."""

from collections import Counter

from services.escalation.delivery.domain.settlement import Receiver

SLOTS = 256
"""Of all receivers together. High, so that receivers that hang cannot starve the others."""
MIN_IN_FLIGHT = 1
"""For a new receiver, and for one that failed: a host that hangs may serve hundreds of users."""
SLOW_IN_FLIGHT = 8
"""For a receiver that is slow."""
MAX_IN_FLIGHT = 64
"""The most that a quick receiver reaches: larger batches cost Postgres less."""


class Slots:
    """Counts pages on their way: in all, and by receiver.

    A receiver begins with MIN_IN_FLIGHT. Each quick success adds one; a slow one sets it to
    SLOW_IN_FLIGHT, a failure to MIN_IN_FLIGHT.
    """

    def __init__(self) -> None:
        self._busy: Counter[Receiver] = Counter()
        self._limits: dict[Receiver, int] = {}

    @property
    def free(self) -> int:
        """How many more may start."""
        return SLOTS - self._busy.total()

    def capacity(self) -> dict[Receiver, int]:
        """How many more may start for each known receiver; for all others it is MIN_IN_FLIGHT."""
        return {
            receiver: max(limit - self._busy[receiver], 0)
            for receiver, limit in self._limits.items()
        }

    def is_full(self, receiver: Receiver) -> bool:
        """Whether no more may start now: for a known receiver, or at all."""
        return self.free <= 0 or self._busy[receiver] >= self._limits[receiver]

    def take(self, receiver: Receiver) -> None:
        """A page is on its way."""
        self._busy[receiver] += 1
        self._limits.setdefault(receiver, MIN_IN_FLIGHT)

    def give_back(self, receiver: Receiver, *, arrived: bool, quick: bool) -> None:
        """It has arrived, or failed."""
        self._busy[receiver] -= 1
        if not arrived:
            self._limits[receiver] = MIN_IN_FLIGHT
        elif not quick:
            self._limits[receiver] = SLOW_IN_FLIGHT
        else:
            self._limits[receiver] = min(self._limits[receiver] + 1, MAX_IN_FLIGHT)
