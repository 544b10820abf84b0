"""Verifies the audit chains: whether each record follows from the one before it."""

from collections.abc import AsyncIterator, Callable

from services.reporting.audit.domain import Chain, Verdict, digest, genesis
from services.reporting.audit.store import list_audit, list_chains
from shared.postgres.connection import Connection

_PAGE_ROWS = 2000


class Verifier:
    """`progress` is called with the number of records verified since the last call.

    It takes no lock, so the service can be running: what is recorded meanwhile is not verified.
    """

    def __init__(
        self, connection: Connection, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        self._connection = connection
        self._progress = progress

    async def verify(self) -> AsyncIterator[Verdict]:
        """One verdict per chain."""
        # Offsets are read before the audit rows, so each row that they speak of is there.
        for chain in await list_chains(self._connection):
            yield await self._verify_chain(chain)

    async def _verify_chain(self, chain: Chain) -> Verdict:
        head, at, records = genesis(chain.topic, chain.partition), -1, 0

        def verdict(broken: str | None) -> Verdict:
            return Verdict(chain.topic, chain.partition, records, head, broken)

        if chain.last_offset is None:
            return verdict("there are records, but the consumer has no offset (table offsets)")
        while page := await list_audit(
            self._connection, chain.topic, chain.partition, at, chain.last_offset, _PAGE_ROWS
        ):
            for row in page:
                if row.hash != digest(row, head):
                    place = f"offset {at}" if records else "the beginning of the chain"
                    return verdict(
                        f"the record at offset {row.offset} does not follow from {place}"
                    )
                head, at, records = row.hash, row.offset, records + 1
            self._progress(len(page))
        if at != chain.last_offset:
            recorded = f"offset {chain.last_offset} was recorded"
            return verdict(f"the chain ends at offset {at}, but {recorded}")
        return verdict(None)
