"""Heartbeats in the transactions of signals and timers."""

from collections.abc import Iterable, Mapping, Sequence

from services.intake.heartbeats.domain import look, take_beats
from services.intake.heartbeats.store import (
    HEARTBEAT,
    load_known_beats,
    lock_heartbeats,
    lock_of_timers,
    save_heartbeats,
)
from services.intake.signals.domain import (
    Decision,
    HeartbeatData,
    Identity,
    NeedsLocks,
    Signal,
    Taken,
)
from services.intake.signals.store import signals_write
from shared.postgres.connection import Connection
from shared.postgres.timers import Timer
from shared.runtime.clock import Clock


class Monitor:
    """Takes beats, and looks at heartbeats when their timers are due. What follows are alerts, for
    the caller to take in the same transaction.

    A crash at any await rolls everything back: the beat was not answered, the timer is still there.
    Times are those of the database's clock, so that replicas agree. Heartbeats are locked before
    incidents, always, so that no two transactions wait in a circle.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def take(
        self, connection: Connection, signals: Sequence[Signal]
    ) -> tuple[Mapping[Identity, Taken], Sequence[Signal]]:
        """Take the beats among signals: the decision about each, and the other signals with the
        alerts that follow.

        Raises Conflict when another transaction logged one of them, or made its heartbeat, first.
        """
        beats = {one.identity: one for one in signals if isinstance(one.data, HeartbeatData)}
        if not beats:
            return {}, signals
        names = {one.data.name for one in beats.values() if isinstance(one.data, HeartbeatData)}
        known = await lock_heartbeats(connection, names)
        repeats = await load_known_beats(connection, list(beats.values()))
        fresh = [signal for identity, signal in beats.items() if identity not in repeats]
        now = self._clock()
        result = take_beats(fresh, known, now)
        changed = [one for name, one in result.heartbeats.items() if one != known.get(name)]
        logged = signals_write(result.decided, now)
        await save_heartbeats(connection, changed, (), now, logged)
        taken = {identity: Taken(Decision.REPEAT, None) for identity in repeats}
        taken |= {one.identity: decided for one, decided in result.decided}
        others = [signal for signal in signals if not isinstance(signal.data, HeartbeatData)]
        return taken, [*others, *result.alerts]

    @staticmethod
    def refuse_beats(signals: Iterable[Signal]) -> None:
        """Raises NeedsLocks where a signal is a beat, which `take` needs a transaction for."""
        if any(isinstance(signal.data, HeartbeatData) for signal in signals):
            raise NeedsLocks

    async def fire(self, connection: Connection, timers: Sequence[Timer]) -> Sequence[Signal]:
        """Look at the heartbeats whose timers are due; the alerts that follow. Stale timers do
        nothing.
        """
        due = {timer.subject for timer in timers if timer.kind == HEARTBEAT}
        if not due:
            return []
        now = self._clock()
        outcomes = {
            heartbeat.heartbeat_id: look(heartbeat, now)
            for heartbeat in await lock_of_timers(connection, due, now)
        }
        kept = [one.heartbeat for one in outcomes.values() if one.heartbeat]
        deleted = [key for key, one in outcomes.items() if one.heartbeat is None]
        await save_heartbeats(connection, kept, deleted, now)
        return [one.alert for one in outcomes.values() if one.alert]
