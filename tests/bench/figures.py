"""The figures of a run, from what generator and receiver noted."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.cost import Cost
from tests.bench.generator import Sent
from tests.bench.workloads import Workload

_SETTLING = 0.1
"""The first part of a paced run, whose delays do not count; all else of it does."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of a workload through one system. Rates are per second.

    `lost` alerts were accepted, and no page or no incident followed.
    """

    system: str
    workload: str
    accepted: int
    refused: int
    accepted_rate: float
    delivered: int
    delivered_rate: float
    p50_ms: float
    p99_ms: float
    lost: int
    duplicated: int
    costs: Mapping[str, Cost] = field(default_factory=dict)

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per accepted alert, of all processes with generator and receiver."""
        seconds = sum(cost.cpu_seconds for cost in self.costs.values())
        return seconds * 1000 / max(self.accepted, 1)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A page arrived at a monotonic time. It is about a thing of the workload."""

    at: float
    thing: int


def figures(
    system: str,
    workload: Workload,
    sent: Sent,
    receipts: Sequence[Receipt],
    costs: Mapping[str, Cost],
    unaccounted: int = 0,
) -> Figures:
    """Compute the figures. `unaccounted` events were accepted and are in no incident."""
    begin, begun = min(sent.sent), first_sent(workload, sent)
    answers = list(zip(workload.slices(), sent.taken, strict=True))
    accepted = sum(len(events) for events, taken in answers if taken)
    promised = {workload.thing(event) for events, taken in answers if taken for event in events}
    arrived: dict[int, float] = {}
    for receipt in receipts:
        arrived.setdefault(receipt.thing, receipt.at)
    settled = begin + _settling_seconds(workload)
    counted = [thing for thing in arrived if begun[thing] >= settled]
    delays = sorted((arrived[thing] - begun[thing]) * 1000 for thing in counted)
    seen = Counter(receipt.thing for receipt in receipts)
    return Figures(
        system,
        workload.name,
        accepted,
        refused=workload.events - accepted,
        accepted_rate=round(accepted / (max(sent.answered) - begin), 1),
        delivered=len(arrived),
        delivered_rate=_rate(arrived, begin),
        p50_ms=quantile(delays, 50),
        p99_ms=quantile(delays, 99),
        lost=len(promised - arrived.keys()) + unaccounted,
        duplicated=sum(count - 1 for count in seen.values()),
        costs=costs,
    )


def _settling_seconds(workload: Workload) -> float:
    """At a pace, the first pages wait for connections, query plans and bytecode."""
    return _SETTLING * workload.events / workload.rate if workload.rate else 0.0


def _rate(arrived: Mapping[int, float], begin: float) -> float:
    return round(len(arrived) / (max(arrived.values()) - begin), 1) if arrived else 0.0


def first_sent(workload: Workload, sent: Sent) -> dict[int, float]:
    """When the first alert about each thing was sent."""
    first: dict[int, float] = {}
    for at, events in zip(sent.sent, workload.slices(), strict=True):
        for thing in map(workload.thing, events):
            first[thing] = min(first.get(thing, at), at)
    return first


def quantile(ordered: Sequence[float], percent: int) -> float:
    """A percentile of sorted values; 0 when there are none."""
    if len(ordered) < 2:
        return round(ordered[0], 1) if ordered else 0.0
    return round(statistics.quantiles(ordered, n=100, method="inclusive")[percent - 1], 1)
