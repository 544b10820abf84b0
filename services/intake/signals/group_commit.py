"""Group commit: whatever queued while the last batch was written goes into the next. No timer, so
no wait when idle.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from services.intake.signals.domain import Identity, NeedsLocks, Overloaded, Refused, Signal, Taken
from services.intake.signals.domain.turns import Part, Request, Turns
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import DEADLOCK, UNAVAILABLE, Conflict
from shared.postgres.isolation import Isolation, isolate, never_poison, process_together
from shared.telemetry import measured_on_success

log = logging.getLogger(__name__)
_MAX_QUEUED = 50_000
_MAX_QUEUED_OF_ONE = 25_000
_MAX_CONFLICTS = 5
_MAX_WITHOUT_TRANSACTION = 20
"""Requests. Of more, one probably needs a transaction, and all share its round trips."""

Take = Callable[[Connection, Sequence[Signal]], Awaitable[Mapping[Identity, Taken]]]
"""Logs signals and acts on them; returns the decision about each."""


class GroupCommit:
    """A component. Takes the signals of HTTP requests into Postgres: a request is answered after
    the commit, never before.

    Dying before the commit loses nothing that was promised; dying after it, before the answer,
    makes the sender repeat signals that are known by their (source, id).

    Integrations take turns: each has one in a batch, and the whole batch where no other waits. So a
    large request is committed in parts, and delays only those of its own integration.

    A small batch goes to `take_new` first, without a transaction, which raises NeedsLocks or
    Conflict where it needs one. Then, and for a large batch at once, `take` has a transaction.
    """

    def __init__(self, database: Database, take_new: Take, take: Take) -> None:
        self._database = database
        self._take_new = take_new
        self._take = take
        self._turns = Turns()
        self._woken = asyncio.Event()

    async def submit(
        self, integration: str, signals: Sequence[Signal], size: int = 0
    ) -> Mapping[Identity, Taken]:
        """Store signals, which were `size` bytes of a request; returns the decision about each once
        all are committed.

        Raises Overloaded, Refused, or one of UNAVAILABLE when Postgres cannot be reached; parts of
        a large request may be committed then.
        """
        number, turns = len(signals), self._turns
        if turns.size() + number > _MAX_QUEUED:
            raise Overloaded
        if turns.size_of(integration) + number > _MAX_QUEUED_OF_ONE:
            raise Overloaded
        request = Request(signals, asyncio.get_running_loop().create_future(), size)
        turns.add(integration, request)
        self._woken.set()
        return await request.answer

    def problems(self) -> list[str]:
        """A queue that is full."""
        return ["the queue of signals is full"] if self._turns.size() >= _MAX_QUEUED else []

    async def run(self) -> None:
        """Commit batch after batch until cancelled; those still queued then fail, so that no answer
        is owed.
        """
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._turns:
                    if batch := self._turns.next_batch():  # empty where all callers hung up
                        await self._commit(batch)
        finally:
            _fail(self._turns, ConnectionError("intake is stopping"))

    async def _commit(self, batch: list[Part]) -> None:
        few = len(batch) <= _MAX_WITHOUT_TRANSACTION
        isolation: Isolation | None = None if few else process_together
        for _ in range(_MAX_CONFLICTS + few):
            try:
                taken, refused = await self._attempt(batch, isolation)
            except (NeedsLocks, Conflict, DEADLOCK):
                isolation = isolation or process_together
                continue
            except UNAVAILABLE as error:
                return _fail(_requests(batch), error)
            except BaseException as error:
                if (
                    isinstance(error, Exception)
                    and isolation is not isolate
                    and not never_poison(error)
                ):
                    isolation = isolate
                    continue
                _fail(_requests(batch), ConnectionError("intake is stopping"))
                raise
            _fail(refused, Refused())
            for part in batch:
                part.commit(taken)
            return None
        return _fail(_requests(batch), ConnectionError("other transactions won every race"))

    async def _attempt(
        self, batch: list[Part], isolation: Isolation | None
    ) -> tuple[Mapping[Identity, Taken], list[Request]]:
        """The decisions, and the requests that were refused."""
        if isolation is not None:
            return await self._transaction(batch, isolation)
        with measured_on_success():
            async with self._database.connection() as connection:
                return await self._take_new(connection, _signals(batch)), []

    async def _transaction(
        self, batch: list[Part], isolation: Isolation
    ) -> tuple[Mapping[Identity, Taken], list[Request]]:
        taken: dict[Identity, Taken] = {}
        refused: list[Request] = []

        async def work(connection: Connection, parts: Sequence[Part]) -> None:
            taken.update(await self._take(connection, _signals(parts)))

        async def on_poison(_: Connection, part: Part, error: Exception) -> None:
            log.error("a request's signals were refused", extra={"error": type(error).__qualname__})
            refused.append(part.request)

        async with self._database.transaction() as connection:
            await isolation(connection, batch, work, on_poison)
        return taken, refused


def _fail(requests: Iterable[Request], error: Exception) -> None:
    for request in requests:
        request.fail(error)


def _requests(batch: Sequence[Part]) -> list[Request]:
    return [part.request for part in batch]


def _signals(parts: Sequence[Part]) -> list[Signal]:
    return [signal for part in parts for signal in part.signals]
