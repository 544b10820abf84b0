"""Starts a part anew that a supervisor looks after, from another process."""

import os
import time

from deploy.local.state import State
from deploy.local.supervisor import Part, tail

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05


def roll(part: Part) -> None:
    """Tell it to end, and return when its successor is ready. RuntimeError when there is none in
    time.

    The old one ends before the new one starts: they share a name in Kafka's consumer groups. It is
    the supervisor that starts the new one, on the listening socket that it has kept.
    """
    old = State.load().processes.get(part.name)
    if old is None or not old.alive:
        raise RuntimeError(f"{part.name} is not running; its supervisor will start it again")
    os.kill(old.pid, old.stop_signal)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        new = State.load().processes.get(part.name)
        if new and new != old and new.alive and part.problem() is None:
            return
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError(
        f"{part.name} was not ready again within {_PATIENCE_SECONDS:.0f} s\n{tail(part.log)}"
    )
