"""The gateways over HTTP, without Kafka and Postgres: what they commit is kept."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import orjson

from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.gateways.policy import GatewayPolicy, Signer, shipped
from services.intake.integrations.domain import Integration
from services.intake.integrations.key_ring import KeyRing
from services.intake.signals.domain import Decision, Identity, Overloaded, Signal, Taken
from shared.http.downloads import Downloads, NotDownloaded
from tests.support.http import served
from tests.unit.intake.builders import NOON, no_alerts

KEY = "good"


class _OneKey:
    async def integration(self, key: str | None, gateway: str) -> Integration | None:
        return Integration(name="tests") if key == KEY else None


class Known(Downloads):
    """Fetches what it was given, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(())
        self.documents: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        self.asked.append(url)
        if url not in self.documents:
            raise NotDownloaded("the sender's address answered HTTP 404")
        return self.documents[url]


@dataclass
class Served:
    """A running API. `signers` is the policy of signatures in force."""

    address: str = ""
    stored: list[Signal] = field(default_factory=list)
    signers: dict[str, Signer] = field(default_factory=dict)
    downloads: Known = field(default_factory=Known)
    full: bool = False

    async def submit(
        self, _: str, signals: Sequence[Signal], size: int
    ) -> Mapping[Identity, Taken]:
        if self.full:
            raise Overloaded
        self.stored.extend(signals)
        return {one.identity: Taken(Decision.OPENED, one.subject) for one in signals}

    async def send(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, Any]:
        """Status and parsed body of the answer."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self.address + path, data=data, headers=headers) as answer,
        ):
            return answer.status, orjson.loads(await answer.read())


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """All gateways."""
    made = Served()
    services = Services(
        *(cast("KeyRing", _OneKey()), made.submit, no_alerts, lambda: NOON),
        policy=lambda: GatewayPolicy(shipped().mappings, made.signers),
        downloads=made.downloads,
    )
    async with served(make_api(services)) as made.address:
        yield made
