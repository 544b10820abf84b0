"""`tocsin audit verify`."""

import asyncio
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from services.reporting.cli import audit
from shared.kafka.topics import SIGNALS
from shared.postgres.database import Database
from tests.integration.reporting.audit.test_verifier import ten_signals
from tests.support.feeding import Feed


async def test_the_command_names_the_broken_record_and_fails(
    feed: Feed,
    reporting: Database,
    superuser: "asyncpg.Connection[Any]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await ten_signals(feed)
    monkeypatch.setenv("TOCSIN_POSTGRES", reporting.dsn)
    good = await _in_a_thread("verify")
    assert good.exit_code == 0, good.output
    assert "all 10 records in 1 chain(s) hold" in good.stdout
    await superuser.execute("""UPDATE audit SET value = 'forged' WHERE "offset" = 6""")
    bad = await _in_a_thread("verify")
    assert bad.exit_code == 1
    assert f"{SIGNALS}/0: the record at offset 6 does not follow from offset 5" in bad.stderr


async def _in_a_thread(*arguments: str) -> Any:
    """The command line has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, audit, list(arguments))
