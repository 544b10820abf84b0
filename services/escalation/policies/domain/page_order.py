"""A page as it is ordered. The ledger's row, the facts about it and what is sent are made of this
one type: a new field is added here, and as a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple
from uuid import UUID


class Position(NamedTuple):
    """A step of a round, both counted from 1."""

    round: int
    step: int


@dataclass(frozen=True, slots=True)
class PageOrder:
    """One page to one user by one method. `attempt_key` is the same over all attempts, and after a
    crash that makes the service decide again.
    """

    attempt_key: str
    incident_id: UUID
    user: str
    method: str
    step: int
    round: int
    why: tuple[str, ...]

    @property
    def position(self) -> Position:
        """The step that it belongs to."""
        return Position(self.round, self.step)

    def values(self) -> dict[str, Any]:
        """The fields by name. Not `asdict`, which copies deeply."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def page_order(
    incident_id: UUID, at: Position, user: str, method: str, why: Sequence[str]
) -> PageOrder:
    """A page with its deterministic key."""
    key = f"{incident_id}.{at.round}.{at.step}.{user}.{method}"
    return PageOrder(key, incident_id, user, method, at.step, at.round, tuple(why))
