"""Messages that were refused: publishers read `tocsin.rejections.v1`, operators read
`tocsin.dead-letters.v1`.
"""

from shared.events.facts import Fact

REJECTIONS = "tocsin.rejections.v1"
DEAD_LETTERS = "tocsin.dead-letters.v1"


class SignalRejected(Fact, topic=REJECTIONS):
    """A message on the signals topic was refused: which, and how to correct it. The value is not
    repeated.
    """

    field: str
    reason: str
    source: str | None = None
    signal_id: str | None = None
    partition: int
    offset: int


class MessageDeadLettered(Fact, topic=DEAD_LETTERS):
    """A record or timer that `service` could not process. `value` and header values are base64 of
    the exact bytes.
    """

    service: str
    reason: str
    origin: str
    partition: int | None = None
    offset: int | None = None
    key: str | None = None
    value: str | None = None
    headers: list[tuple[str, str]] = []
