"""Walks the audit chains and says whether each record still follows from the one before it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.reporting.audit.domain import digest, genesis
from services.reporting.audit.store import Chain, list_audit, list_chains
from shared.postgres.connection import Connection

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one chain: how many records hold, the last good hash, and what is wrong, if
    anything is.
    """

    topic: str
    partition: int
    records: int
    head: bytes
    broken: str | None


async def verify_chains(
    connection: Connection, progress: Callable[[int], None]
) -> AsyncIterator[Verdict]:
    """A verdict a chain; `progress` hears how many records were looked at since it last did.

    Takes no lock: the service may be running, and what it records meanwhile is left for the next
    time.
    """
    # The books are read before the rows, so all that they speak of is there to be seen.
    for chain in await list_chains(connection):
        yield await _verify(connection, chain, progress)


async def _verify(connection: Connection, chain: Chain, progress: Callable[[int], None]) -> Verdict:
    head, at, records = genesis(chain.topic, chain.partition), -1, 0

    def verdict(broken: str | None) -> Verdict:
        return Verdict(chain.topic, chain.partition, records, head, broken)

    if chain.last_offset is None:
        return verdict(
            "there are records, but the consumer's own books (table offsets) know of none"
        )
    while page := await list_audit(
        connection, chain.topic, chain.partition, at, chain.last_offset, _PAGE
    ):
        for entry in page:
            if entry.hash != digest(entry, head):
                where = f"offset {at}" if records else "the beginning of the chain"
                return verdict(f"the record at offset {entry.offset} does not follow from {where}")
            head, at, records = entry.hash, entry.offset, records + 1
        progress(len(page))
    if at != chain.last_offset:
        return verdict(
            f"the chain ends at offset {at}, but offset {chain.last_offset} was recorded"
        )
    return verdict(None)
