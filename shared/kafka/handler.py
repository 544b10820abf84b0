"""The type of a topic's handler."""

from collections.abc import Awaitable, Callable, Sequence

from shared.kafka.record import Record
from shared.postgres.connection import Connection

Handler = Callable[[Connection, Sequence[Record]], Awaitable[None]]
"""Processes records inside the plumbing's transaction; raises on a bad record; publishes only
through the outbox. May be called again for the same records, in a new transaction or under a new
savepoint. One that is given for several topics gets their records of a batch together, topic by
topic.
"""
