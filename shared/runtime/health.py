"""Health: whether the process lives, and whether it can do its work."""

import asyncio
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from fastapi import FastAPI

from shared.http.problems import JsonResponse
from shared.postgres.database import Database
from shared.postgres.errors import MISCONFIGURED
from shared.postgres.ping import ping

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


def add_health(app: FastAPI, database: Database, components: Mapping[str, Component]) -> None:
    """`/livez` depends on nothing; `/readyz` asks Postgres and every component.

    Problems of the relay and of notifications are listed as `degraded`: the outbox keeps what they
    are late with, so the service can go on taking requests. So are a machine's clock that is wrong,
    since decisions go by the database's, and what a component calls degraded itself.
    """

    @app.get("/livez", include_in_schema=False)
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JsonResponse:
        trouble = {
            name: found for name, component in components.items() if (found := component.problems())
        }
        problems = {name: found for name, found in trouble.items() if name not in _LATE_ONLY}
        degraded = {name: found for name, found in trouble.items() if name in _LATE_ONLY}
        for name, component in components.items():
            if isinstance(component, Degraded) and (found := component.degraded()):
                degraded[name] = found
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
