"""The one error for what a publisher sent."""

from shared.events.text import shorten

_MAX_FIELD = 300


class Malformed(ValueError):
    """What a publisher sent is refused. `field` names the part at fault, `reason` says how to
    correct it.
    """

    def __init__(self, field: str, reason: str) -> None:
        field = shorten(field, _MAX_FIELD)  # it may be a key of the sender's
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
