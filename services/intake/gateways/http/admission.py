"""Who is let in now: by how much an integration has sent already."""

import asyncio
from math import ceil

from services.intake.gateways.gateway import Gateway
from services.intake.integrations.domain import Bucket, Integration
from shared.http.problems import Problem


def busy(gateway: Gateway, why: str, seconds: float) -> Problem:
    """The answer to what may come again later, with the status that the sender repeats."""
    headers = {"Retry-After": str(ceil(seconds))}
    return Problem(gateway.busy, "Busy", f"{why}; send it again", headers)


class Admission:
    """Admits requests. The buckets of integrations that have a rate are this process's own."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def admit(self, gateway: Gateway, integration: Integration) -> None:
        """Let a request in. Raises Problem where the integration has sent too much."""
        if bucket := self._bucket(integration):
            if seconds := bucket.wait(asyncio.get_running_loop().time()):
                raise busy(gateway, f"more than {integration.rate:g} signals a second", seconds)
            bucket.take(1)

    def charge(self, integration: Integration, signals: int) -> None:
        """A request that was admitted had so many signals; the first is paid."""
        if signals > 1 and (bucket := self._bucket(integration)):
            bucket.take(signals - 1)

    def _bucket(self, integration: Integration) -> Bucket | None:
        if integration.rate is None:
            self._buckets.pop(integration.name, None)
            return None
        bucket = self._buckets.get(integration.name)
        if bucket is None or (bucket.rate, bucket.burst) != (integration.rate, integration.burst):
            now = asyncio.get_running_loop().time()
            bucket = Bucket.full(integration.rate, integration.burst, now)
            self._buckets[integration.name] = bucket
        return bucket
