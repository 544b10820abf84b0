"""Acting on an incident from the command line."""

import sys
from asyncio import subprocess
from collections.abc import AsyncIterator

import pytest

from tests.support.outside import Outside, outside
from tests.support.running import TOKEN


@pytest.fixture
async def client(database: str) -> AsyncIterator[Outside]:
    async with outside(database) as made:
        yield made


async def tocsin(client: Outside, *arguments: str, token: str = TOKEN) -> tuple[int, str]:
    environment = {
        "TOCSIN_ESCALATION_URL": client.base,
        "TOCSIN_API_TOKEN": token,
        "PATH": "/usr/bin:/bin",
    }
    process = await subprocess.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.runtime.cli",
        *arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_command_line_acknowledges_and_resolves(client: Outside) -> None:
    (id,) = await client.it.triaged(1042)
    status, output = await tocsin(client, "incidents", "ack", "INC-1042", "--by", "ana")
    assert status == 0, output
    assert "INC-1042: acknowledged by ana" in output
    assert "cancelled: page to ana by webhook (step 1)" in output
    status, output = await tocsin(client, "incidents", "ack", "1042", "--by", "ben")
    assert (status, output.splitlines()[0]) == (0, "INC-1042: already acknowledged by ana")
    status, output = await tocsin(
        client, "incidents", "resolve", str(id), "--by", "ana", "--note", "rolled back"
    )
    assert (status, output.splitlines()[0]) == (0, "INC-1042: resolved by ana")


async def test_the_command_line_says_what_is_wrong_in_one_line(client: Outside) -> None:
    assert await tocsin(client, "incidents", "ack", "INC-7", "--by", "ana") == (
        1,
        "tocsin: there is no incident INC-7; name it as INC-1042 or by its UUID\n",
    )
    status, output = await tocsin(client, "incidents", "ack", "INC-7", "--by", "ana", token="wrong")
    assert (status, output) == (1, "tocsin: Authorization: send `Bearer <TOCSIN_API_TOKEN>`\n")
    status, output = await tocsin(client, "incidents", "ack", "seven", "--by", "ana")
    assert (status, output) == (
        1,
        "tocsin: seven is neither a number such as INC-1042 nor a UUID\n",
    )
