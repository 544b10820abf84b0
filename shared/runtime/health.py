"""Health: whether the process lives, and whether it can do its work."""

import asyncio
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import Response

from shared.http.problems import JsonResponse
from shared.postgres.database import Database
from shared.postgres.errors import MISCONFIGURED
from shared.postgres.ping import ping
from shared.runtime.probes import Readiness

_PATIENCE_SECONDS = 2
_LATE_ONLY = frozenset({"relay", "wake", "clock"})


class Component(Protocol):
    """A loop of the service. It survives the loss of Kafka and Postgres by itself; an exception
    that leaves `run` is a fault that ends the process, for whoever supervises it to start again.
    """

    async def run(self) -> None:
        """Work until cancelled."""

    def problems(self) -> list[str]:
        """Why this component cannot do its work now; empty when it can."""


@runtime_checkable
class Degraded(Protocol):
    """A component that can be kept from a part of its work while the service goes on."""

    def degraded(self) -> list[str]:
        """What it is kept from, and why."""


Reasons = dict[str, list[str]]
"""What is wrong with components, by their names."""


def reasons(components: Mapping[str, Component]) -> tuple[Reasons, Reasons]:
    """Why components cannot do their work, and why others are degraded: late, or kept from a part
    of it.
    """
    trouble = {
        name: found for name, component in components.items() if (found := component.problems())
    }
    problems = {name: found for name, found in trouble.items() if name not in _LATE_ONLY}
    degraded = {name: found for name, found in trouble.items() if name in _LATE_ONLY}
    for name, component in components.items():
        if isinstance(component, Degraded) and (found := component.degraded()):
            degraded[name] = found
    return problems, degraded


def readiness(
    database: Database, components: Mapping[str, Component], stop: asyncio.Event
) -> Readiness:
    """Asks Postgres and every component; nothing is ready once `stop` is set.

    Problems of the relay and of notifications are listed as `degraded`: the outbox keeps what they
    are late with, so the service can go on taking requests. So are a machine's clock that is wrong,
    since decisions go by the database's, and what a component calls degraded itself.
    """

    async def readyz(_: Request) -> Response:
        problems, degraded = reasons(components)
        if stop.is_set():
            problems["service"] = ["is stopping"]
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await ping(database)
        except MISCONFIGURED as error:
            problems["postgres"] = [str(error)]
        except Exception as error:
            problems["postgres"] = [type(error).__qualname__]
        return JsonResponse(
            {"ready": not problems, "problems": problems, "degraded": degraded},
            503 if problems else 200,
        )

    return readyz
