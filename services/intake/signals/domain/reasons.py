"""Why a signal was taken as it was."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Redacted:
    """How often a rule took something out of a field. What it was is not kept."""

    field: str
    rule: str
    times: int


@dataclass(frozen=True, slots=True)
class Reasons:
    """What was done to a signal before it was decided on, in words that people read.

    `normalised` has one sentence a field that was filled or read differently, and for what is wrong
    with the sender's clock. `classified` says what made it the kind of signal that it is.
    """

    normalised: tuple[str, ...] = ()
    redacted: tuple[Redacted, ...] = ()
    classified: str = ""


NO_REASONS = Reasons()
