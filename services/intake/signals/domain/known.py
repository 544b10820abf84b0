"""An alert as intake knows it, for senders that ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

Wanted: TypeAlias = Sequence[str] | UUID | int | None
"""Which alerts of an origin: the newest of each of some keys, those of one incident by its id,
or by its number while it is open, or all of open incidents.
"""


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """One alert and its incident. `key` is the sender's own; `severity` is as it was sent, or
    what it was taken for; `count` the number of signals that the incident has had.
    """

    incident_id: UUID
    number: int
    origin: str
    key: str
    status: Literal["firing", "acknowledged", "resolved"]
    summary: str
    severity: str
    service: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    links: list[str]
    count: int
    started_at: datetime
    updated_at: datetime
    ends_at: datetime | None
