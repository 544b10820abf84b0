"""The local stack: what a newcomer's machine is asked to do."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from typer.testing import CliRunner

from deploy.local import cli, state
from deploy.local.postgres import THROWAWAY, Postgres, programs, temporary_home
from deploy.local.process import birth, end_leftover, spawn, stop
from deploy.local.state import PORTS
from tests.support.local_stack import Stack
from tests.support.stack import until


def psql(server: Postgres, statement: str) -> str:
    program = programs(server.user) / "psql"
    done = subprocess.run(
        [program, "-XAtqc", statement, server.dsn()], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


async def test_a_record_goes_through_the_broker(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}signals"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()

    async with (
        AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(topic, b"disk full", key=b"INC-1")
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    ) as consumer:
        record = await consumer.getone()

    assert (record.key, record.value) == (b"INC-1", b"disk full")


async def test_each_test_has_a_migrated_database_of_its_own(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        schemas = {
            row["nspname"] for row in await connection.fetch("SELECT nspname FROM pg_namespace")
        }
        await connection.execute("CREATE TABLE mark (id int)")
    finally:
        await connection.close()

    assert schemas >= {"intake", "triage", "escalation", "reporting"}


async def test_what_one_test_wrote_another_does_not_see(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT to_regclass('mark')") is None
    finally:
        await connection.close()


def test_what_was_committed_outlives_a_crash_of_the_server(tmp_path: Path) -> None:
    server = Postgres(temporary_home(), tmp_path / "postgres.log")
    try:
        crashed = server.start()
        psql(server, "CREATE TABLE page (id int); INSERT INTO page VALUES (7)")
        crashed.kill()
        crashed.wait()

        server.start()

        assert psql(server, "SELECT id FROM page") == "7"
    finally:
        server.stop()
        shutil.rmtree(server.home)
        shutil.rmtree(server.socket)


def test_only_the_user_who_started_the_server_gets_in(tmp_path: Path) -> None:
    server = Postgres(temporary_home(), tmp_path / "postgres.log", THROWAWAY)
    if server.user is None:
        pytest.skip("needs root, to be somebody else")
    try:
        server.start()
        command = ["psql", "-X", server.dsn(), "-c", "SELECT 1"]
        program = programs(server.user) / command.pop(0)

        refused = subprocess.run(
            [program, *command], user=server.user, capture_output=True, text=True, check=False
        )

        assert "peer authentication failed" in refused.stderr.lower()
    finally:
        server.stop()
        shutil.rmtree(server.home)
        shutil.rmtree(server.socket)


@pytest.mark.skipif(
    sys.platform != "linux", reason="the system has no signal for it; the next start ends the child"
)
def test_a_child_does_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from deploy.local.process import spawn\n"
        f"print(spawn(['sleep', '60'], Path({str(tmp_path / 'log')!r})).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout
        child = int(supervisor.stdout.readline())
        assert birth(child)

        supervisor.kill()

    until(lambda: birth(child) is None)


def test_a_leftover_is_ended_even_if_it_does_not_listen(tmp_path: Path) -> None:
    stubborn = spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log"
    )
    until(lambda: "ready" in (tmp_path / "log").read_text())
    born = birth(stubborn.pid)
    assert born

    threading.Thread(
        target=stubborn.wait, daemon=True
    ).start()  # a process that nobody waits for stays listed
    assert end_leftover(stubborn.pid, born, signal.SIGTERM, patience_seconds=0.3)

    assert birth(stubborn.pid) != born


def test_a_stranger_with_a_remembered_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = spawn(["sleep", "60"], tmp_path / "log")
    try:
        assert not end_leftover(stranger.pid, "born at another time", signal.SIGTERM)
        assert stranger.poll() is None
    finally:
        stop(stranger, signal.SIGTERM, 5)


def test_the_status_of_a_stack_from_before_a_part_was_added_names_that_part(tmp_path: Path) -> None:
    known = {name: 40000 + place for place, name in enumerate(PORTS) if name != "canary"}
    (tmp_path / "state.json").write_text(json.dumps({"ports": known}))

    told = Stack(tmp_path).tocsin("status", code=1)

    assert re.search(r"canary .* not running", told)


def test_a_stack_in_the_background_that_does_not_come_up_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\necho pid $$\nexec sleep 60\n")
    stuck.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(stuck))
    monkeypatch.setattr(cli, "_START_SECONDS", 2.0)
    monkeypatch.setattr(cli, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(state, "STATE", tmp_path / "state.json")

    told = CliRunner().invoke(cli.app, ["up", "--detach"])

    assert told.exit_code == 1
    found = re.search(r"not ready within 2 s\s+pid (\d+)", told.output)
    assert found, told.output
    assert birth(int(found[1])) is None
