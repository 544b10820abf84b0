"""What could not be taken: `tocsin.rejections.v1` tells publishers, `tocsin.dead-letters.v1` tells
operators.
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
    """A record or timer that `service` could not work on. `value` and header values are base64 of
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
