"""`tocsin intake heartbeats` on real Postgres."""

import asyncio
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from services.intake.heartbeats.cli import make_commands
from services.intake.heartbeats.policy import HeartbeatsPolicy
from services.intake.heartbeats.policy_sync import PolicySync
from services.intake.signals.domain import HeartbeatSettings
from shared.postgres.database import Database
from tests.integration.intake.conftest import World
from tests.support.stack import runtime_dsn


class Shell:
    """Runs commands; each has a database connection of its own."""

    def __init__(self, database: str) -> None:
        self._commands = make_commands(lambda: Database(runtime_dsn(database, "intake")))

    async def __call__(self, *arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, self._commands, arguments)
        return done.exit_code, done.output


@pytest.fixture
def run(database: str) -> Shell:
    return Shell(database)


async def test_a_heartbeat_from_its_creation_to_its_deletion(run: Shell) -> None:
    arguments = ("create", "nightly-backup", "--every", "1d", "--grace", "30m")
    status, output = await run(*arguments, "--service", "payments-db", "--severity", "error")
    assert (status, output[:49]) == (0, "nightly-backup: the next beat is awaited until 20")
    assert (await run(*arguments))[0] == 0, "it can be repeated"
    _, listed = await run("list")
    (row,) = [line for line in listed.splitlines() if "nightly-backup" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")][1:5] == ["new", "1d", "30m", "-"]
    assert (await run("disable", "nightly-backup"))[1] == "nightly-backup: disabled\n"
    _, shown = await run("show", "nightly-backup")
    assert "disabled" in shown
    assert (await run("enable", "nightly-backup"))[0] == 0
    assert (await run("delete", "nightly-backup"))[1] == "nightly-backup: deleted\n"
    assert "nightly-backup" not in (await run("list"))[1]


@pytest.mark.parametrize("command", ["show", "delete", "enable", "disable"])
async def test_one_that_is_not_there(run: Shell, command: str) -> None:
    status, output = await run(command, "nobody")
    assert status == 1
    assert "there is no heartbeat `nobody`; see `tocsin intake heartbeats list`" in output


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--every", "5"), "write a duration as a number with its unit"),
        (("--every", "0s"), "every"),
        (("--every", "5m", "--severity", "bad"), "severity"),
        (("--every", "5m", "--grace", "99d"), "grace"),
    ],
)
async def test_what_is_wrong_is_named(run: Shell, option: tuple[str, ...], reason: str) -> None:
    status, output = await run("create", "nightly", *option)
    assert status == 2
    assert reason in output


async def test_one_of_the_policy_is_changed_there(run: Shell, world: World) -> None:
    settings = HeartbeatSettings(every=timedelta(hours=1))
    sync = PolicySync(world.database, lambda: pytest.fail("unread"), lambda: world.clock[0])
    await sync.apply(HeartbeatsPolicy(heartbeats={"nightly": settings}))
    for arguments in (("delete", "nightly"), ("disable", "nightly")):
        status, output = await run(*arguments)
        assert status == 1
        assert "is in heartbeats.yaml: change it there" in output
