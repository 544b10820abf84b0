"""The pauses between tries of what fails because something is away."""

_FIRST_SECONDS, _LONGEST_SECONDS = 0.1, 5.0


class Backoff:
    """A pause after each failure in a row, twice as long each time: 0.1 s up to 5 s."""

    def __init__(self) -> None:
        self._next = _FIRST_SECONDS

    def reset(self) -> None:
        """It works again."""
        self._next = _FIRST_SECONDS

    def seconds(self) -> float:
        """How long to wait after one more failure."""
        pause, self._next = self._next, min(2 * self._next, _LONGEST_SECONDS)
        return pause
