"""Group commit: whatever queued while the last batch was written goes into the next. No timer, so
no wait when idle.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.intake.signals.domain import Identity, NeedsLocks, Overloaded, Refused, Signal, Taken
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import DEADLOCK, UNAVAILABLE, Conflict
from shared.postgres.isolation import Isolation, isolate, never_poison, process_together
from shared.telemetry import measured_on_success

log = logging.getLogger(__name__)
_MAX_BATCH = 1_000
_MAX_QUEUED = 50_000
_MAX_CONFLICTS = 5
_MAX_WITHOUT_TRANSACTION = 20
"""Requests. Of more, one probably needs a transaction, and all share its round trips."""

Take = Callable[[Connection, Sequence[Signal]], Awaitable[Mapping[Identity, Taken]]]
"""Logs signals and acts on them; returns the decision about each."""


@dataclass(slots=True)
class _Request:
    signals: Sequence[Signal]
    answer: "asyncio.Future[Mapping[Identity, Taken]]"


class GroupCommit:
    """A component. Takes the signals of HTTP requests into Postgres: a request is answered after
    the commit, never before.

    Dying before the commit loses nothing that was promised; dying after it, before the answer,
    makes the sender repeat signals that are known by their (source, id).

    A small batch goes to `take_new` first, without a transaction, which raises NeedsLocks or
    Conflict where it needs one. Then, and for a large batch at once, `take` has a transaction.
    """

    def __init__(self, database: Database, take_new: Take, take: Take) -> None:
        self._database = database
        self._take_new = take_new
        self._take = take
        self._queue: deque[_Request] = deque()
        self._queued = 0
        self._woken = asyncio.Event()

    async def submit(self, signals: Sequence[Signal]) -> Mapping[Identity, Taken]:
        """Store signals; returns the decision about each once it is committed.

        Raises Overloaded, Refused, or one of UNAVAILABLE when Postgres cannot be reached.
        """
        if self._queued + len(signals) > _MAX_QUEUED:
            raise Overloaded
        request = _Request(signals, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._queued += len(signals)
        self._woken.set()
        return await request.answer

    def problems(self) -> list[str]:
        """A queue that is full."""
        return ["the queue of signals is full"] if self._queued >= _MAX_QUEUED else []

    async def run(self) -> None:
        """Commit batch after batch until cancelled; those still queued then fail, so that no answer
        is owed.
        """
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._queue:
                    await self._commit(self._next_batch())
        finally:
            self._fail(list(self._queue), ConnectionError("intake is stopping"))

    def _next_batch(self) -> list[_Request]:
        batch, size = [], 0
        while self._queue and size < _MAX_BATCH:
            batch.append(self._queue.popleft())
            size += len(batch[-1].signals)
        self._queued -= size
        return batch

    async def _commit(self, batch: list[_Request]) -> None:
        few = len(batch) <= _MAX_WITHOUT_TRANSACTION
        isolation: Isolation | None = None if few else process_together
        for _ in range(_MAX_CONFLICTS + few):
            try:
                taken, refused = await self._attempt(batch, isolation)
            except (NeedsLocks, Conflict, DEADLOCK):
                isolation = isolation or process_together
                continue
            except UNAVAILABLE as error:
                return self._fail(batch, error)
            except BaseException as error:
                if (
                    isinstance(error, Exception)
                    and isolation is not isolate
                    and not never_poison(error)
                ):
                    isolation = isolate
                    continue
                self._fail(batch, ConnectionError("intake is stopping"))
                raise
            self._fail([request for request in batch if id(request) in refused], Refused())
            for request in batch:
                if not request.answer.done():
                    request.answer.set_result(taken)
            return None
        return self._fail(batch, ConnectionError("other transactions won every race"))

    async def _attempt(
        self, batch: list[_Request], isolation: Isolation | None
    ) -> tuple[Mapping[Identity, Taken], set[int]]:
        """The decisions, and the ids of the requests that were refused."""
        if isolation is not None:
            return await self._transaction(batch, isolation)
        with measured_on_success():
            async with self._database.connection() as connection:
                return await self._take_new(connection, _signals(batch)), set()

    async def _transaction(
        self, batch: list[_Request], isolation: Isolation
    ) -> tuple[Mapping[Identity, Taken], set[int]]:
        taken: dict[Identity, Taken] = {}
        refused: set[int] = set()

        async def work(connection: Connection, requests: Sequence[_Request]) -> None:
            taken.update(await self._take(connection, _signals(requests)))

        async def on_poison(_: Connection, request: _Request, error: Exception) -> None:
            log.error("a request's signals were refused", extra={"error": type(error).__qualname__})
            refused.add(id(request))

        async with self._database.transaction() as connection:
            await isolation(connection, batch, work, on_poison)
        return taken, refused

    @staticmethod
    def _fail(requests: Sequence[_Request], error: Exception) -> None:
        for request in requests:
            if not request.answer.done():  # a caller that hung up has cancelled it
                request.answer.set_exception(error)


def _signals(requests: Sequence[_Request]) -> list[Signal]:
    return [signal for request in requests for signal in request.signals]
