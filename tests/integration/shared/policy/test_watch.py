"""A bad edit of a policy file never stops a service, not even at its next restart."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from services.triage.catalogue.policy import FILE, Catalogue, read_catalogue
from shared.policy.files import InvalidPolicy
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from tests.support.running import eventually
from tests.support.stack import name_of, runtime_dsn

GOOD = "default_team: platform\n"
BAD = "default_team: platform\nservises: {}\n"


@asynccontextmanager
async def running(watch: PolicyWatch[Catalogue]) -> AsyncIterator[PolicyWatch[Catalogue]]:
    await watch.start()
    task = asyncio.create_task(watch.run())
    yield watch
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text(GOOD)
    return tmp_path / FILE


@pytest.fixture
async def triage(database: str) -> AsyncIterator[Database]:
    opened = Database(runtime_dsn(database, "triage"))
    yield opened
    await opened.close()


def write(file: Path, text: str) -> None:
    """Replace the file in one step, as the manual says."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.replace(file)


def remove(file: Path) -> None:
    file.unlink()


def watch_of(file: Path, database: Database) -> PolicyWatch[Catalogue]:
    return PolicyWatch(file, read_catalogue, database, poll_seconds=0.02)


async def test_an_edit_is_in_force_without_a_restart(file: Path, triage: Database) -> None:
    async with running(watch_of(file, triage)) as watch:
        write(file, "default_team: payments\n")

        async def in_force() -> bool:
            return watch.current.content.default_team == "payments"

        await eventually("the edit is in force", in_force)


async def test_a_bad_edit_is_named_with_its_line_and_the_last_good_version_keeps_running(
    file: Path, triage: Database
) -> None:
    async with running(watch_of(file, triage)) as watch:
        good = watch.current
        write(file, BAD)

        async def refused() -> bool:
            return bool(watch.faults)

        await eventually("the edit is refused", refused)
        assert [str(fault) for fault in watch.faults] == [
            "catalogue.yaml:2: unknown key `servises`; did you mean `services`?"
        ]
        assert watch.current is good
        assert watch.problems() == []
        write(file, "default_team: corrected\n")

        async def corrected() -> bool:
            return not watch.faults and watch.current.content.default_team == "corrected"

        await eventually("the correction is in force", corrected)


@pytest.mark.parametrize("correction", [GOOD, "default_team: other\n"], ids=["back", "forward"])
@pytest.mark.parametrize("fault", [write, remove], ids=["bad", "missing"])
async def test_a_correction_ends_the_fault_and_is_logged(
    file: Path,
    triage: Database,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[..., None],
    correction: str,
) -> None:
    caplog.set_level(logging.INFO)
    async with running(watch_of(file, triage)) as watch:
        fault(file, *([BAD] if fault is write else []))

        async def refused() -> bool:
            return bool(watch.faults)

        await eventually("the file is refused", refused)
        assert "good again" not in caplog.text
        write(file, correction)

        async def corrected() -> bool:
            return not watch.faults

        await eventually("the file is good again", corrected)
        said = [record for record in caplog.records if record.message.endswith("is good again")]
        assert [getattr(record, "policy", None) for record in said] == [FILE]
        assert watch.current.text == correction


async def test_a_restart_with_a_bad_file_takes_the_last_good_version_and_says_so(
    file: Path, triage: Database, caplog: pytest.LogCaptureFixture
) -> None:
    before = watch_of(file, triage)
    await before.start()
    write(file, BAD)
    after = watch_of(file, triage)
    await after.start()
    assert after.current == before.current
    assert after.faults
    assert "its last good version is in force" in caplog.text


async def test_the_last_good_version_outlives_two_restarts_and_a_file_that_is_gone(
    file: Path, triage: Database
) -> None:
    await watch_of(file, triage).start()
    remove(file)
    await watch_of(file, triage).start()
    second = watch_of(file, triage)
    await second.start()
    assert second.current.content.default_team == "platform"
    assert [fault.message for fault in second.faults] == ["the file is missing"]


async def test_without_a_good_version_the_start_is_refused_with_file_line_and_hint(
    file: Path, triage: Database
) -> None:
    write(file, BAD)
    with pytest.raises(
        InvalidPolicy, match=r"catalogue\.yaml:2: unknown key `servises`; did you mean `services`"
    ):
        await watch_of(file, triage).start()


async def test_a_good_file_starts_with_postgres_down_and_is_kept_once_it_is_up(
    file: Path, triage: Database, database: str, postgres: str
) -> None:
    name = name_of(database)
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
    async with running(watch_of(file, triage)) as watch:
        assert watch.current.content.default_team == "platform"
        await admin.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
        await admin.close()

        async def kept() -> bool:
            async with triage.connection() as connection:
                return bool(
                    await connection.fetchval("SELECT text FROM policies WHERE name = $1", FILE)
                    == GOOD
                )

        await eventually("the policy is kept", kept)
