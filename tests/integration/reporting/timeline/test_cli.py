"""`tocsin incidents`: what a person reads in a terminal, and a program in a pipe."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from services.reporting.cli import incidents
from tests.support.feeding import Feed, whole_response
from tests.support.outage import Outage
from tests.support.reading import ApiReader


async def test_the_command_line_lists_and_shows(
    feed: Feed, reader: ApiReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(summary="down [bold]\x1b[31mred")
    await feed.events(*whole_response(outage)[:-2])
    monkeypatch.setenv("TOCSIN_CONSOLE_URL", reader.address)
    monkeypatch.setenv("COLUMNS", "160")

    async def run(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, incidents, list(arguments))

    listed = await run("list")
    assert "INC-1042" in listed.stdout
    assert (
        "down [bold] [31mred" in listed.stdout
    )  # neither markup nor an escape sequence of a sender's works
    shown = await run("show", "INC-1042")
    assert "Acknowledged by Ben by link" in shown.stdout
    assert "on call" in shown.stdout
    as_json = json.loads((await run("show", "INC-1042", "--json")).stdout)
    assert as_json["acknowledged_by"] == "Ben"
    missing = await run("show", "INC-7")
    assert (missing.exit_code, missing.stderr) == (1, "tocsin: there is no incident INC-7\n")
