"""Restarts a supervised part from another process."""

import os

from deploy.local.polling import wait_for
from deploy.local.state import State
from deploy.local.supervisor import Part, tail

_PATIENCE_SECONDS = 60.0


def roll(part: Part) -> None:
    """Stop the part and return when its successor is ready. RuntimeError when that takes too long.

    The old process ends before the new one starts, as they share a member id in Kafka's consumer
    groups. The supervisor starts the new one on the listening socket that it has kept.
    """
    old = State.load().processes.get(part.name)
    if old is None or not old.alive:
        raise RuntimeError(f"{part.name} is not running; its supervisor will start it again")
    os.kill(old.pid, old.stop_signal)

    def is_replaced() -> bool:
        new = State.load().processes.get(part.name)
        return bool(new and new != old and new.alive and part.problem() is None)

    if not wait_for(is_replaced, _PATIENCE_SECONDS):
        raise RuntimeError(
            f"{part.name} was not ready again within {_PATIENCE_SECONDS:.0f} s\n{tail(part.log)}"
        )
