"""`tocsin intake integrations`: a key is shown once, and rotated without a gap."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from services.intake.integrations.cli import make_commands
from services.intake.integrations.key_ring import KeyRing
from shared.postgres.database import Database
from tests.integration.intake.conftest import World
from tests.support.stack import runtime_dsn

Run = Callable[..., Awaitable[Any]]


@pytest.fixture
def run(world: World) -> Run:
    commands = make_commands(
        lambda: Database(runtime_dsn(world.admin, "intake")), lambda: {"alertmanager"}
    )

    async def invoke(*arguments: str, code: int = 0) -> Any:
        """The command line has a loop of its own."""
        done = await asyncio.to_thread(CliRunner().invoke, commands, list(arguments))
        assert done.exit_code == code, done.output
        return done

    return invoke


async def let_in(world: World, key: str, gateway: str = "alertmanager") -> bool:
    ring = KeyRing(world.database, world.database.clock)
    return await ring.integration(key, gateway) is not None


async def test_a_key_is_shown_once_and_afterwards_only_how_it_begins(
    world: World, run: Run
) -> None:
    key = (await run("create", "eu", "--days", "90")).stdout.strip()
    assert await let_in(world, key)
    for command in (["list"], ["show", "eu"]):
        shown = (await run(*command)).stdout
        assert f"{key[:8]}..." in shown
        assert "expires 20" in shown
        assert key[8:] not in shown
    assert key[8:] not in str(await world.rows("SELECT * FROM integration_keys"))


async def test_settings_are_given_at_creation_and_shown(world: World, run: Run) -> None:
    options = ["--gateway", "alertmanager", "--team", "web", "--label", "cluster=eu-1"]
    options += ["--environment", "prod", "--no-resolved", "--expire-after", "6h", "--rate", "50"]
    key = (await run("create", "eu", *options)).stdout.strip()
    shown = " ".join((await run("show", "eu")).stdout.split())
    for part in ("alertmanager", "web", "cluster=eu-1", "prod", "6:00:00", "50.0"):
        assert part in shown
    assert not await let_in(world, key, "cloudevents")


async def test_rotation_keeps_two_live_keys_and_no_more(world: World, run: Run) -> None:
    first = (await run("create", "eu")).stdout.strip()
    second = (await run("rotate", "eu", "--grace", "2d")).stdout.strip()
    assert [await let_in(world, key) for key in (first, second)] == [True, True]
    refusal = (await run("rotate", "eu", code=1)).stderr
    assert f"two keys of `eu` live, `{first[:8]}...` and `{second[:8]}...`" in refusal
    await run("revoke", f"{first[:8]}...")
    third = (await run("rotate", "eu", "--grace", "0m")).stdout.strip()
    alive = [await let_in(world, key) for key in (first, second, third)]
    assert alive == [False, False, True]


async def test_a_revoked_integration_has_no_keys_and_keeps_its_settings(
    world: World, run: Run
) -> None:
    key = (await run("create", "eu", "--team", "web")).stdout.strip()
    await run("revoke", "eu")
    assert not await let_in(world, key)
    assert "web" in (await run("list")).stdout
    assert await let_in(world, (await run("rotate", "eu")).stdout.strip())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create", "topic"], 2, "a name has letters"),
        (["create", "a b"], 2, "a name has letters"),
        (["create", "eu", "--gateway", "alertmanger"], 2, "use one of alertmanager"),
        (["create", "eu", "--label", "cluster"], 2, "NAME=VALUE"),
        (["create", "eu", "--expire-after", "soon"], 2, "30m, 12h or 7d"),
        (["create", "eu", "--expire-after", "999d"], 2, "expire_after"),
        (["create", "eu", "--rate", "0"], 2, "rate"),
        (["create", "there"], 1, "`tocsin intake integrations rotate there`"),
        (["show", "nobody"], 1, "there is no integration `nobody`"),
        (["rotate", "nobody"], 1, "there is no integration `nobody`"),
        (["revoke", "nobody"], 1, "there is no key or integration with keys `nobody`"),
    ],
)
async def test_what_is_wrong_is_said_with_the_mend(
    world: World, run: Run, arguments: list[str], code: int, message: str
) -> None:
    await run("create", "there")
    refusal = " ".join((await run(*arguments, code=code)).stderr.replace("│", " ").split())
    assert message in refusal
    assert await world.rows("SELECT name FROM integrations") == [{"name": "there"}]
