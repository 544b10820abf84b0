"""Whose signals are committed next: integrations take turns, and a large request is divided."""

from asyncio import Future
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.intake.signals.domain.signal import Identity, Signal, Taken

MAX_BATCH = 1_000
"""Signals. An integration that sends alone has all of it: a storm of 10,000 in parts of 250 took
half as long again, in parts of 2,500 no less. Whoever comes meanwhile waits for one batch, some
100 ms.
"""
TURN = 250
"""Signals of one integration in a batch while others send, too."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
TURN_BYTES = 1024 * 1024
"""The same in bytes of requests, since large signals take longer. One signal always fits."""

Answer = Future[Mapping[Identity, Taken]]


@dataclass(eq=False, slots=True)
class Request:
    """Signals that are answered together, with the `size` of their request in bytes. `begun` of
    them are in a batch that is or was committed.
    """

    signals: Sequence[Signal]
    answer: Answer
    size: int = 0
    begun: int = 0
    taken: dict[Identity, Taken] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """How many are in no batch yet."""
        return len(self.signals) - self.begun

    @property
    def weight(self) -> int:
        """Bytes of one of its signals, on average."""
        return max(self.size // max(len(self.signals), 1), 1)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless it is answered, or its caller has hung up."""
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(eq=False, slots=True)
class Part:
    """Signals of a request that are committed together."""

    request: Request
    signals: Sequence[Signal]

    def commit(self, taken: Mapping[Identity, Taken]) -> None:
        """They are committed, with these decisions; with its last part the request is answered."""
        request = self.request
        if request.answer.done():
            return
        if len(self.signals) == len(request.signals):
            request.answer.set_result(taken)
            return
        for signal in self.signals:  # one that was in an earlier part, too, has its first decision
            request.taken.setdefault(signal.identity, taken[signal.identity])
        if not request.left:
            request.answer.set_result(request.taken)


@dataclass(slots=True)
class _Space:
    """What still fits."""

    signals: int
    size: int

    def __bool__(self) -> bool:
        return self.signals > 0 and self.size > 0

    def most_of(self, request: Request) -> int:
        """How many signals of a request fit; one at least."""
        return max(min(self.signals, self.size // request.weight), 1)

    def fill(self, parts: Sequence[Part]) -> None:
        """These take some of it."""
        self.signals -= sum(len(part.signals) for part in parts)
        self.size -= sum(len(part.signals) * part.request.weight for part in parts)


@dataclass(slots=True)
class _Queue:
    """Requests of one integration, in their order, with `size` signals that are in no batch yet."""

    size: int = 0
    requests: deque[Request] = field(default_factory=deque)

    def next_turn(self, space: _Space) -> list[Part]:
        """Whole requests, and the next part of one that is too large for a turn."""
        parts: list[Part] = []
        while self.requests and space:
            request = self.requests[0]
            if request.answer.done():  # it failed in part, or its caller has hung up
                self.size -= request.left
                self.requests.popleft()
            elif parts and request.left > space.most_of(request):
                break
            else:
                parts.append(self._next_part(request, space.most_of(request)))
                space.fill(parts[-1:])
                if request.left:
                    break
        return parts

    def _next_part(self, request: Request, room: int) -> Part:
        signals = request.signals[request.begun : request.begun + room]
        request.begun += len(signals)
        self.size -= len(signals)
        if not request.left:
            self.requests.popleft()
        return Part(request, signals)


class Turns:
    """Requests that wait, by integration."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        self._were_several = False

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Request]:
        for queue in self._queues.values():
            yield from queue.requests

    def add(self, integration: str, request: Request) -> None:
        """It waits behind the others of its integration."""
        queue = self._queues.setdefault(integration, _Queue())
        queue.requests.append(request)
        queue.size += request.left

    def size(self) -> int:
        """How many signals wait."""
        return sum(queue.size for queue in self._queues.values())

    def size_of(self, integration: str) -> int:
        """How many signals of an integration wait."""
        queue = self._queues.get(integration)
        return queue.size if queue else 0

    def next_batch(self) -> list[Part]:
        """One turn of each integration, as far as there is room; alone, it has all the room. One
        whose last signal has just been answered may be about to send the next, so it counts.
        """
        are_several = len(self._queues) > 1
        alone = not (are_several or self._were_several)
        turn, size = (MAX_BATCH, MAX_BATCH_BYTES) if alone else (TURN, TURN_BYTES)
        self._were_several = are_several
        batch: list[Part] = []
        space = _Space(MAX_BATCH, MAX_BATCH_BYTES)
        for _ in range(len(self._queues)):
            if not space:
                break
            integration, queue = self._queues.popitem(last=False)
            parts = queue.next_turn(_Space(min(turn, space.signals), min(size, space.size)))
            if queue.requests:
                self._queues[integration] = queue  # behind the others
            batch += parts
            space.fill(parts)
        return batch
