"""`tocsin retention show`."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from shared.runtime.retention_commands import app
from tests.support.stack import runtime_dsn


async def test_the_command_says_what_would_go_and_deletes_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await asyncpg.connect(database)
    await admin.execute(
        """
        INSERT INTO triage.requests
        SELECT gen_random_uuid(), 'team', 'access', NULL, '[]', 'v', now() - age * interval '1 day'
        FROM unnest(ARRAY [1, 50, 100]) AS age;
        INSERT INTO triage.policies VALUES ('retention.yaml', 'v', '');
        INSERT INTO escalation.policies VALUES ('retention.yaml', 'v', '');
        INSERT INTO reporting.policies VALUES ('retention.yaml', 'v', '');
        INSERT INTO intake.policies VALUES ('retention.yaml', 'v', ''), ('intake.yaml', 'v', '')
        """
    )
    monkeypatch.setenv("TOCSIN_POSTGRES", runtime_dsn(database, "{service}"))
    assert ("triage", "requests", "90", "1") in rows((await shown()).stdout)
    (tmp_path / "retention.yaml").write_text("triage: {requests: 40d}")
    planned = await shown(str(tmp_path))
    assert ("triage", "requests", "40", "2") in rows(planned.stdout)
    assert ("intake", "signals", "7", "0") in rows(planned.stdout)
    assert await admin.fetchval("SELECT count(*) FROM triage.requests") == 3
    await admin.close()


def rows(output: str) -> list[tuple[str, ...]]:
    """Service, kind, days and how many rows would go."""
    cells = [line.replace(", ", ",").split() for line in output.splitlines()[1:]]
    return [(cell[0], cell[1], cell[3], cell[5]) for cell in cells]


async def shown(*arguments: str) -> Any:
    """The command line has a loop of its own."""
    done = await asyncio.to_thread(CliRunner().invoke, app, ["show", *arguments])
    assert done.exit_code == 0, done.output
    return done
