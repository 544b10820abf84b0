"""How every fault is judged: steady load on a supervised stack, then an independent check of the
invariants.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.faults.storm import Storm
from tests.faults.supervised import Supervised
from tests.support.checker import complaints
from tests.support.evidence import Evidence, checking
from tests.support.running import Receiver


@dataclass
class World:
    """One stack for many faults, one after the other. `long`: inject each fault many times."""

    stack: Supervised
    storm: Storm
    receiver: Receiver
    long: bool
    _known: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def load(self, name: str) -> AsyncIterator[None]:
        """Steady load while the block injects faults. After it, the system becomes idle and all
        invariants are checked.

        The same `name` means the same signals.
        """
        signals, pages = len(self.storm.accepted.signals), len(self.receiver.received)
        async with self.storm.steady(name):
            yield
        await self.judge()
        signals, pages = (
            len(self.storm.accepted.signals) - signals,
            len(self.receiver.received) - pages,
        )
        print(f"{name}: {signals} signals accepted, {pages} pages arrived, all invariants hold")

    async def judge(self) -> Evidence:
        """Wait until the system is idle; fail with all violations that no earlier fault was blamed
        for.
        """
        await self.stack.ready()
        async with checking(self.stack.kafka.bootstrap, self.stack.postgres.dsn(), "") as checker:
            await self.storm.settle(checker)
            evidence = await checker.evidence(self.receiver.received)
        found = complaints(evidence, self.storm.accepted)
        new = [complaint for complaint in found if complaint not in self._known]
        self._known.update(new)
        assert not new, "\n".join(new)
        return evidence
