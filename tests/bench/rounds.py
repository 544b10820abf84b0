"""The rounds of a run: in each, every workload goes through all systems, one after the other."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from tests.bench.alertmanager import program, through_alertmanager
from tests.bench.bare_loop import through_bare_loop
from tests.bench.candidate import Candidate
from tests.bench.figures import Figures
from tests.bench.measured import Inbox, inbox
from tests.bench.report import line
from tests.bench.servers import Servers
from tests.bench.tocsin import through_tocsin
from tests.bench.workloads import Workload

System = Callable[[Workload], Awaitable[Figures]]


def in_order(candidates: Sequence[Candidate], number: int) -> list[Candidate]:
    """The candidates in the order of a round: the first one begins the odd rounds, the last one
    the even ones, so that neither has the better place in all of them.
    """
    return list(candidates) if number % 2 else list(reversed(candidates))


@dataclass(frozen=True, slots=True)
class Rounds:
    """What takes part: the versions of Tocsin and, unless they run alone, what they compare to."""

    servers: Servers
    receiver: Inbox
    candidates: Sequence[Candidate]
    alone: bool

    def systems(self, workload: Workload, number: int) -> list[System]:
        """The systems that run a workload in a round, in order."""
        tocsins = [
            partial(
                through_tocsin, servers=self.servers, receiver=self.receiver, candidate=candidate
            )
            for candidate in in_order(self.candidates, number)
        ]
        return [*tocsins, *([] if self.alone else self._others(workload))]

    def _others(self, workload: Workload) -> list[System]:
        """The bare loop and Alertmanager, where their figures mean the same as Tocsin's."""
        found: list[System] = []
        if workload.things == workload.events:
            found.append(partial(through_bare_loop, servers=self.servers))
        if not workload.topic and (executable := program()):
            peer = partial(through_alertmanager, executable=executable, receiver=self.receiver)
            found.append(peer)
        return found


async def run_rounds(
    servers: Servers,
    candidates: Sequence[Candidate],
    workloads: Sequence[Workload],
    count: int,
    alone: bool,
    console: Console,
) -> list[Figures]:
    """Run all rounds, after a short one that does not count if anything is compared."""
    runs = []
    async with inbox() as receiver:
        rounds = Rounds(servers, receiver, candidates, alone)
        if count > 1 or len(candidates) > 1:
            console.log("warming up")
            for system in rounds.systems(workloads[0], number=1):
                await system(workloads[0].quick())
        for number in range(1, count + 1):
            for workload in workloads:
                console.log(f"round {number} of {count}: {workload.name}, {workload.title}")
                for system in rounds.systems(workload, number):
                    runs.append(await system(workload))
                    console.log(f"  {line(runs[-1])}")
    return runs
