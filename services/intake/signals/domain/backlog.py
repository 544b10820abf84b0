"""How many bytes of requests are in memory: being read, waiting, or being committed."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from services.intake.signals.domain.signal import Overloaded

MAX_BYTES = 80 * 1024 * 1024


class Backlog:
    """Bounded, and fair between integrations: each may have as much as it leaves free. So one that
    sends without end has half at most, two have a third each, and there is always room for others.
    """

    def __init__(self, most: int = MAX_BYTES) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @property
    def size(self) -> int:
        """Bytes that are taken."""
        return self._taken.total()

    @contextmanager
    def room(self, integration: str) -> Iterator["Room"]:
        """Room for a request of an integration, which is given back at the end of the block."""
        room = Room(self, integration)
        try:
            yield room
        finally:
            room.resize(0)

    def change(self, integration: str, before: int, now: int) -> None:
        """A request takes another number of bytes. Raises Overloaded where it may not grow so."""
        more = now - before
        own, free = self._taken[integration] + more, self._most - self.size - more
        if more > 0 and own > free:
            raise Overloaded
        self._taken[integration] = own
        if not own:
            del self._taken[integration]


class Room:
    """What one request takes."""

    def __init__(self, backlog: Backlog, integration: str) -> None:
        self._backlog = backlog
        self._integration = integration
        self._size = 0

    def give_to(self, integration: str) -> None:
        """It is a request of this integration. Raises Overloaded."""
        size = self._size
        self.resize(0)
        self._integration = integration
        self.resize(size)

    def resize(self, size: int) -> None:
        """The request takes so many bytes. Raises Overloaded."""
        self._backlog.change(self._integration, self._size, size)
        self._size = size
