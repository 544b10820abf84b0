"""How many pages may be on their way at a time."""

from collections import Counter

from services.escalation.delivery.domain.settlement import Receiver

SLOTS = 256
"""Many: what hangs costs a connection each, and must not keep others from theirs when many users
share what hangs.
"""
ONE = 1
"""What a stranger and one that failed are sent at a time: a host that hangs may be the host of
hundreds of users.
"""
FEW = 8
"""What one that is slow is sent at a time."""
MANY = 64
"""What one that answers quickly gets in the end: larger batches cost Postgres less."""


class Slots:
    """Counts pages on their way: in all, and by receiver. A receiver begins with ONE, earns one
    more at a time by each quick success, has FEW after a slow one, and ONE after a failure.
    """

    def __init__(self) -> None:
        self._busy: Counter[Receiver] = Counter()
        self._most: dict[Receiver, int] = {}

    @property
    def free(self) -> int:
        """How many more may start."""
        return SLOTS - self._busy.total()

    def room(self) -> dict[Receiver, int]:
        """How many more may start for each receiver that has been sent something; for all others it
        is ONE.
        """
        return {
            receiver: max(most - self._busy[receiver], 0) for receiver, most in self._most.items()
        }

    def take(self, receiver: Receiver) -> None:
        """A page is on its way."""
        self._busy[receiver] += 1
        self._most.setdefault(receiver, ONE)

    def give_back(self, receiver: Receiver, *, arrived: bool, quick: bool) -> None:
        """It has arrived, or failed."""
        self._busy[receiver] -= 1
        self._most[receiver] = (
            min(self._most[receiver] + 1, MANY) if arrived and quick else FEW if arrived else ONE
        )
