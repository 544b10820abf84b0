"""How much an integration may send: a token bucket, in signals."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Filled with `rate` signals a second up to `burst`. A request is taken while anything is left,
    however large it is, and what it took beyond that is waited for: a large group is never refused
    for its size. Times are seconds of any clock that does not go back.
    """

    rate: float
    burst: int
    left: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: int, at: float) -> "Bucket":
        """One that nothing was taken from."""
        return cls(rate, burst, float(burst), at)

    def wait(self, now: float) -> float:
        """Seconds until the next request may come; 0: it may come now."""
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
        return 0.0 if self.left >= 1 else (1 - self.left) / self.rate

    def take(self, signals: int) -> None:
        """A request had so many signals: at most a whole burst is owed."""
        self.left = max(self.left - signals, -self.burst)
