"""Intake as processes on real Postgres, without Kafka, killed at will."""

import asyncio
import os
import signal
import smtplib
import sys
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local.ports import choose
from services.intake.integrations.store import create_key
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.running import eventually, free_port
from tests.support.stack import runtime_dsn

POLICY = """
heartbeats:
  pulse: {every: 2s, grace: 0s, service: checkout}
  slow: {every: 1h}
"""


@dataclass
class Installation:
    """Replicas of intake on one database."""

    environment: dict[str, str]
    folder: Path
    database: Database
    http: aiohttp.ClientSession
    processes: list[Process] = field(default_factory=list)
    mail_port: int = 0
    port: int = 0

    async def start(self) -> None:
        """Start a replica; it is ready."""
        self.port, probes, self.mail_port = choose(3)
        own = {
            "TOCSIN_HTTP_PORT": str(self.port),
            "TOCSIN_PROBES_PORT": str(probes),
            "TOCSIN_MAIL_LISTEN": f"127.0.0.1:{self.mail_port}",
            "TOCSIN_INSTANCE": f"intake-{len(self.processes)}",
        }
        command = (sys.executable, "-m", "shared.runtime.cli", "intake", "serve")
        with (self.folder / "log").open("ab") as log:
            process = await create_subprocess_exec(
                *command, env=self.environment | own, stdout=log, stderr=log
            )
        self.processes.append(process)
        await eventually("intake is ready", lambda: self._ready(process, probes), 60)

    async def _ready(self, process: Process, probes: int) -> bool:
        assert process.returncode is None, (self.folder / "log").read_text()[-3000:]
        try:
            async with self.http.get(f"http://127.0.0.1:{probes}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def end(self, sign: signal.Signals) -> list[int]:
        """End all replicas; their exit statuses."""
        ending, self.processes = self.processes, []
        for process in ending:
            process.send_signal(sign)
        return [await process.wait() for process in ending]

    async def rows(self, query: str) -> list[Any]:
        async with self.database.connection() as connection:
            return await connection.fetch(query)

    async def states(self) -> list[str]:
        return [row[0] for row in await self.rows("SELECT status FROM incidents ORDER BY number")]


@pytest.fixture
async def intake(database: str, tmp_path: Path) -> AsyncIterator[Installation]:
    (tmp_path / "heartbeats.yaml").write_text(POLICY)
    own = {
        "TOCSIN_KAFKA": f"127.0.0.1:{free_port()}",
        "TOCSIN_POSTGRES": runtime_dsn(database, "{service}"),
        "TOCSIN_POLICY_DIR": str(tmp_path),
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOCSIN_", "OTEL_"))
    }
    connections = Database(runtime_dsn(database, "intake"))
    async with aiohttp.ClientSession() as http:
        made = Installation(inherited | own, tmp_path, connections, http)
        yield made
        await made.end(signal.SIGKILL)
    await connections.close()


async def test_heartbeats_and_mail_over_restarts_of_two_replicas(intake: Installation) -> None:
    async with intake.database.transaction() as connection:
        key = await create_key(connection, "tests", None, system_clock())
    await intake.start()
    await intake.start()

    async def missed() -> bool:
        return await intake.states() == ["open"]

    await eventually("a missed heartbeat is an incident", missed)
    await intake.end(signal.SIGKILL)
    assert [row[0] for row in await intake.rows("SELECT signal_count FROM incidents")] == [1]
    await intake.start()
    assert await intake.states() == ["open"], "a restart neither ends nor repeats it"
    url = f"http://127.0.0.1:{intake.port}/v1/heartbeats/pulse"
    async with intake.http.post(url, headers={"Authorization": f"Bearer {key}"}) as answer:
        assert answer.status == 200
    assert await intake.states() == ["cleared"]

    async def missed_again() -> bool:
        return await intake.states() == ["cleared", "open"]

    await eventually("it is expected again", missed_again)
    (intake.folder / "heartbeats.yaml").write_text("heartbeats:\n  slow: {every: 1h}\n")

    async def ended() -> bool:
        return await intake.states() == ["cleared", "cleared"]

    await eventually("what the policy no longer has ends", ended)
    text = b"Subject: ** PROBLEM Host Alert: web1 is DOWN **\r\n\r\nping"

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", intake.mail_port, timeout=30) as client:
            client.sendmail("nagios@mon.example", [f"{key}@tocsin"], text)

    await asyncio.to_thread(send)
    assert await intake.states() == ["cleared", "cleared", "open"]
    reader, _ = await asyncio.open_connection("127.0.0.1", intake.mail_port)
    assert (await reader.readline()).startswith(b"220")
    assert await intake.end(signal.SIGTERM) == [0]
    log = (intake.folder / "log").read_text()
    assert key not in log, "no key is logged"
    assert key[-20:] not in log
