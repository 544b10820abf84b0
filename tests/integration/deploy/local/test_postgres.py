"""The embedded PostgreSQL server keeps committed data and admits only its user."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.postgres import THROWAWAY, Postgres, programs, temporary_home


def psql(server: Postgres, statement: str) -> str:
    program = programs(server.user) / "psql"
    done = subprocess.run(
        [program, "-XAtqc", statement, server.dsn()], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_committed_data_survives_a_crash_of_the_server(tmp_path: Path) -> None:
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


def test_only_the_user_who_started_the_server_may_connect(tmp_path: Path) -> None:
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
