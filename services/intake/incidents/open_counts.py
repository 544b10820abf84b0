"""How many incidents of a service are open, as far as a storm is concerned."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import Incident
from services.intake.incidents.domain.storms import services_of
from services.intake.incidents.policy import Storm
from services.intake.incidents.store.incidents import Count
from shared.runtime.clock import Clock

_FRESH = timedelta(seconds=2)
_MAX_REMEMBERED = 10_000


class OpenCounts:
    """Counts that are up to 2 s old, with what this process has opened since: the limit of a storm
    need not be exact, and to count for every batch would cost more than all else.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted: dict[str, tuple[int, datetime]] = {}

    def wanted(self, items: Iterable[Grouped], storm: Storm | None) -> Count:
        """What has to be counted for alerts."""
        if storm is None:
            return Count()
        now = self._clock()
        services = services_of(items)
        old = [name for name in services if not self._is_fresh(name, now)]
        return Count(old, storm.open_incidents)

    def _is_fresh(self, service: str, now: datetime) -> bool:
        return service in self._counted and now - self._counted[service][1] < _FRESH

    def of(self, items: Sequence[Grouped], counted: Mapping[str, int]) -> dict[str, int]:
        """The counts of the alerts' services, with those that were `counted` now."""
        now = self._clock()
        if len(self._counted) > _MAX_REMEMBERED:
            self._counted.clear()
        self._counted |= {name: (opened, now) for name, opened in counted.items()}
        services = services_of(items)
        return {name: self._counted[name][0] for name in services & self._counted.keys()}

    def add(self, opened: Iterable[Incident]) -> None:
        """Count incidents that were opened here."""
        for incident in opened:
            service = incident.service
            if service and (known := self._counted.get(service)):
                self._counted[service] = (known[0] + 1, known[1])
