"""integrations.yaml becomes rows, whoever made them before and however often it is read."""

from pathlib import Path

from services.intake.integrations.policy import FILE, read_integrations
from services.intake.integrations.registrar import Registrar
from services.intake.integrations.store import create_key, list_integrations
from shared.policy.watch import PolicyWatch
from tests.integration.intake.conftest import NOON, World


async def shown(world: World) -> list[tuple[str, str | None, bool, int]]:
    async with world.database.transaction() as connection:
        listed = await list_integrations(connection)
    return [(one.name, one.team, from_file, len(keys)) for one, from_file, keys in listed]


async def registered(world: World, folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    watch = PolicyWatch(folder / FILE, read_integrations, world.database, optional=True)
    await watch.start()
    for _ in range(2):
        await Registrar(watch, world.database, lambda: NOON).write()


async def test_the_file_makes_integrations_and_changes_those_that_there_are(
    world: World, tmp_path: Path
) -> None:
    async with world.database.transaction() as connection:
        await create_key(connection, "eu", None, NOON)
    await registered(world, tmp_path, "integrations: {eu: {team: web}, us: {team: ops}}")
    assert await shown(world) == [("eu", "web", True, 1), ("us", "ops", True, 0)]
    await registered(world, tmp_path, "integrations: {eu: {}}")
    assert await shown(world) == [("eu", None, True, 1), ("us", "ops", False, 0)]


async def test_without_a_file_what_commands_made_stays(world: World, tmp_path: Path) -> None:
    async with world.database.transaction() as connection:
        await create_key(connection, "eu", None, NOON)
    await registered(world, tmp_path, "")
    assert await shown(world) == [("eu", None, False, 1)]
