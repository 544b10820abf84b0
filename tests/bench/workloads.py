"""What is sent: a number of alerts about a number of things. Each thing is to become one page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import orjson


@dataclass(frozen=True, slots=True)
class Workload:
    """`events` alerts, about each of `things` in turn; `rate` a second, or as fast as possible."""

    name: str
    title: str
    events: int
    things: int
    batch: int = 1
    rate: int | None = None
    topic: bool = False
    first: int = 0
    """The number of the first event and thing: another number is another incident."""

    def quick(self) -> "Workload":
        """The same workload with a tenth of the events."""
        return replace(self, events=self.events // 10, things=max(self.things // 10, 1))

    def thing(self, event: int) -> int:
        """The number of the thing that an event is about."""
        return self.first + (event - self.first) % self.things

    @property
    def numbers(self) -> range:
        """The numbers of its events."""
        return range(self.first, self.first + self.events)

    def slices(self) -> Iterator[range]:
        """The events of each request."""
        starts = range(0, self.events, self.batch)
        return (self.numbers[start : start + self.batch] for start in starts)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("a", "unique alerts, one a POST, 32 connections", 10_000, 10_000),
        Workload("b100", "unique alerts, 100 a second", 1_000, 1_000, rate=100),
        Workload("b500", "unique alerts, 500 a second", 5_000, 5_000, rate=500),
        Workload("b1000", "unique alerts, 1,000 a second", 10_000, 10_000, rate=1_000),
        Workload(
            "c", "a storm: 10,000 alerts into 50 incidents, in one batch", 10_000, 50, batch=10_000
        ),
        Workload("d", "1,000 alerts, each sent 10 times, one a POST", 10_000, 1_000),
        Workload("e", "unique alerts on the signals topic", 10_000, 10_000, topic=True),
    )
}


_DESCRIPTION = "less than 2 % of the file system are free, and it fills at 1 % an hour"


def cloudevent(workload: Workload, event: int) -> dict[str, object]:
    """An alert as publishers send it. Its summary ends with the number of its thing."""
    thing = workload.thing(event)
    data: dict[str, object] = {
        "summary": f"disk full on host {thing}",
        "service": "checkout",
        "severity": "critical",
        "key": f"disk-{thing}",
        "labels": {"host": f"host-{thing}.example", "mount": "/var", "region": "eu-1"},
        "annotations": {"description": _DESCRIPTION},
    }
    if workload.batch > 1:
        data["alert"] = f"partition-{event}"
    return {
        "specversion": "1.0",
        "id": f"bench-{event}",
        "source": "/bench",
        "type": "tocsin.signals.Alert",
        "data": data,
    }


def bodies(workload: Workload) -> Sequence[str]:
    """The bodies of the requests, or the values of the records."""
    made = ([cloudevent(workload, event) for event in events] for events in workload.slices())
    sent = (events if workload.batch > 1 else events[0] for events in made)
    return [orjson.dumps(body).decode() for body in sent]


def thing_in(summary: str) -> int:
    """The number of the thing in the summary of a page."""
    return int(summary.rpartition(" ")[2])
