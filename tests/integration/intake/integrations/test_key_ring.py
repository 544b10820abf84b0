"""Keys against a real database: good ones are let in, and guesses cost next to nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.intake.integrations import key_ring
from services.intake.integrations.domain import Settings
from services.intake.integrations.key_ring import KeyRing, TooManyUnknown
from services.intake.integrations.store import create_integration, create_key, delete_keys
from services.intake.integrations.store import end_key as end
from tests.integration.intake.conftest import NOON, World
from tests.support.logged import LoggedDatabase
from tests.support.stack import runtime_dsn

DAY = timedelta(days=1)


@pytest.fixture
async def logged(world: World) -> AsyncIterator[LoggedDatabase]:
    database = LoggedDatabase(runtime_dsn(world.admin, "intake"))
    yield database
    await database.close()


@pytest.fixture
def ring(logged: LoggedDatabase, world: World) -> KeyRing:
    return KeyRing(logged, lambda: world.clock[0])


async def new_key(world: World, name: str = "tests", lifetime: timedelta | None = None) -> str:
    async with world.database.transaction() as connection:
        return await create_key(connection, name, lifetime, NOON)


async def name_of(ring: KeyRing, key: str | None, gateway: str = "cloudevents") -> str | None:
    integration = await ring.integration(key, gateway)
    return integration.name if integration else None


async def test_a_key_opens_only_the_gateway_of_its_integration(world: World, ring: KeyRing) -> None:
    settings = Settings(gateway="alertmanager", labels={"cluster": "eu-1"}, rate=2.5)
    async with world.database.transaction() as connection:
        await create_integration(connection, "scoped", settings, NOON)
    key = await new_key(world, "scoped")
    assert await name_of(ring, key, "cloudevents") is None
    integration = await ring.integration(key, "alertmanager")
    assert integration is not None
    assert (integration.labels, integration.rate) == ({"cluster": "eu-1"}, 2.5)


async def test_two_keys_live_at_once_until_the_older_expires(world: World, ring: KeyRing) -> None:
    old, new = await new_key(world), await new_key(world)
    async with world.database.transaction() as connection:
        await end(connection, old[:8], NOON + DAY)
    assert [await name_of(ring, key) for key in (old, new)] == ["tests", "tests"]
    world.clock[0] += DAY
    assert [await name_of(ring, key) for key in (old, new)] == [None, "tests"]


async def test_a_key_of_before_there_were_integrations_works(world: World, ring: KeyRing) -> None:
    secret = "S" * 43
    async with world.database.connection() as connection:
        await connection.execute(
            "INSERT INTO integration_keys VALUES ('0123456789ab', 'old', $1, $2)",
            hashlib.sha256(secret.encode()).digest(),
            NOON,
        )
    integration = await ring.integration(f"tocsin_0123456789ab_{secret}", "alertmanager")
    assert integration is not None
    assert (integration.name, integration.is_plain) == ("old", True)


async def test_a_revoked_key_stops_after_what_is_remembered(
    world: World, logged: LoggedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "_REMEMBERED_SECONDS", 0.0)
    ring, key = KeyRing(logged, lambda: NOON), await new_key(world)
    assert await name_of(ring, key) == "tests"
    async with world.database.transaction() as connection:
        assert await delete_keys(connection, [key[:8]]) == 1
    assert await name_of(ring, key) is None


async def test_what_is_known_is_not_looked_up_again(
    world: World, ring: KeyRing, logged: LoggedDatabase
) -> None:
    key = await new_key(world)
    for _ in range(5):
        assert await name_of(ring, key) == "tests"
        assert await name_of(ring, key[:8] + "x" * 24) is None, "a good prefix is not enough"
        assert await name_of(ring, "nosuchke" + key[8:]) is None
        assert await name_of(ring, "no key at all") is None
    assert len(logged.taken()) == 2


async def test_a_flood_of_guesses_is_a_few_statements_and_holds_up_no_good_key(
    world: World, ring: KeyRing, logged: LoggedDatabase
) -> None:
    good = [await new_key(world, f"n{number}") for number in range(5)]
    guesses = [f"{number:08}" + "x" * 24 for number in range(5_000)]
    asked = [name_of(ring, key) for key in [*guesses[:2_500], *good, *guesses[2_500:]]]
    answers = await asyncio.gather(*asked)
    assert sorted(filter(None, answers)) == [f"n{number}" for number in range(5)]
    assert len(logged.taken()) <= 7
    assert await asyncio.gather(*(name_of(ring, key) for key in guesses)) == [None] * 5_000
    assert logged.taken() == []


async def test_memory_for_guesses_is_bounded(
    world: World, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await new_key(world)
    assert await name_of(ring, good) == "tests"
    monkeypatch.setattr(key_ring, "_MOST_REMEMBERED", 50)
    monkeypatch.setattr(key_ring, "_MOST_WANTED", 100)
    guesses = [f"{number:08}" + "x" * 24 for number in range(101)]
    asked = (name_of(ring, key) for key in guesses)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[:100] == [None] * 100
    assert isinstance(answers[100], TooManyUnknown)
    assert len(ring._unknown) == 50
    assert await name_of(ring, good) == "tests", "no guess drives it out"


async def test_who_hangs_up_takes_the_answer_from_nobody(world: World, ring: KeyRing) -> None:
    key = await new_key(world)
    gone, waits = (asyncio.create_task(name_of(ring, key)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await waits == "tests"


async def test_without_postgres_it_is_the_servers_fault(world: World) -> None:
    key, database = await new_key(world), LoggedDatabase("postgresql://x@127.0.0.1:1/x")
    ring = KeyRing(database, lambda: NOON)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            await ring.integration(key, "cloudevents")
    await database.close()
