"""The types of what works on the records of a topic."""

from collections.abc import Awaitable, Callable, Sequence

from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

Handler = Callable[[Connection, Sequence[Record]], Awaitable[None]]
"""Processes records inside the plumbing's transaction; raises on a bad record; publishes only
through the outbox. May be called again for the same records, in a new transaction or under a new
savepoint. One that is given for several topics gets their records of a batch together, topic by
topic.
"""

Decider = Callable[[Connection, Sequence[Record]], Awaitable[Sequence[Write | None]]]
"""The same work without a transaction: loads, decides, and returns what is to be written. What it
read may change before that is written, so its writes name the rows that they expect. Raises
Conflict where it needs locks: the handler of the topic does it then.
"""

Cleanse = Callable[[Record, str], tuple[Record, str]]
"""Takes out of a record that goes to the dead letters, and of the reason, what must not be kept."""
