"""What /readyz says about a database that cannot be used."""

import asyncio

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from shared.postgres.database import Database
from shared.runtime.health import readiness
from tests.support.http import served
from tests.support.running import free_port


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("password_file=/nowhere/password", "No such file or directory: '/nowhere/password'"),
        ("sslmode=verify-all", "`sslmode` parameter must be one of"),
        ("", "ConnectionRefusedError"),
    ],
)
async def test_readiness_names_what_to_correct(
    http: aiohttp.ClientSession, query: str, said: str
) -> None:
    database = Database(f"postgresql://tocsin_intake:secret@127.0.0.1:{free_port()}/x?{query}")
    readyz = readiness(database, {}, asyncio.Event())
    app = Starlette(routes=[Route("/readyz", readyz)])
    async with served(app) as url, http.get(f"{url}/readyz") as answer:
        text = await answer.text()
        assert answer.status == 503
        (problem,) = (await answer.json())["problems"]["postgres"]
    assert said in problem
    assert "secret" not in text
