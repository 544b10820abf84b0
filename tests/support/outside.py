"""Escalation's HTTP side, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp

from services.escalation.links import http as links_page
from services.escalation.response import http as api
from shared.http.app import create_app
from tests.support.escalating import World, world
from tests.support.http import served
from tests.support.running import TOKEN


@dataclass
class Outside:
    """The service in `it`, served at `base`."""

    it: World
    base: str
    client: aiohttp.ClientSession

    async def api(
        self, method: str, path: str, body: Any = None, token: str = TOKEN
    ) -> tuple[int, dict[str, Any]]:
        """Call the API; its status and JSON body."""
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.base}/v1/incidents/{path}"
        async with self.client.request(method, url, json=body, headers=headers) as got:
            return got.status, await got.json(content_type=None)

    async def link(self, method: str, link: str) -> tuple[int, str, dict[str, str]]:
        """Call a signed link; status, page and headers."""
        async with self.client.request(method, f"{self.base}/a/{link}") as got:
            headers = {name.lower(): value for name, value in got.headers.items()}
            return got.status, await got.text(), headers

    def token(self, id: UUID, action: Any = "acknowledge", user: str = "ana") -> str:
        """The token of a signed link."""
        return self.it.links.url(id, user, action, self.it.clock()).rpartition("/")[2]


@asynccontextmanager
async def outside(database: str) -> AsyncIterator[Outside]:
    """Escalation on a database of its own, for requests."""
    async with world(database, "http://127.0.0.1:9") as it:
        respond = it.handlers.respond
        app = create_app("test")
        app.include_router(api.make_router(it.database, respond, TOKEN))
        app.include_router(links_page.make_router(it.database, respond, it.clock, it.links))
        async with served(app) as base, aiohttp.ClientSession() as client:
            yield Outside(it, base, client)
