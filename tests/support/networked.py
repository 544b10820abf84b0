"""PostgreSQL on TCP: a primary, and a standby that follows it."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import ports
from deploy.local.postgres import THROWAWAY, Postgres, programs, server_user, temporary_home
from deploy.local.process import as_user

# What was committed survives on the standby; the files on the disk need not.
_SETTINGS = {**THROWAWAY, "synchronous_commit": "on"}
_HBA = """
host all         all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
"""


@contextmanager
def primary_server() -> Iterator[Postgres]:
    """A server that a standby may follow; everybody on loopback is trusted."""
    with _started(_new_server()) as server:
        with (server.home / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(_HBA)
        assert server.process
        server.process.send_signal(signal.SIGHUP)
        yield server


@contextmanager
def standby_server(primary: Postgres) -> Iterator[Postgres]:
    """A standby of it."""
    server, user = _new_server(), server_user()
    if user:
        shutil.chown(server.home, user)
    source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=standby"
    subprocess.run(
        [programs(user) / "pg_basebackup", "-D", server.home / "data", "-R", "-c", "fast",
         "-d", source],
        check=True, capture_output=True, cwd=server.home, **as_user(user),
    )  # fmt: skip
    with _started(server):
        yield server


def _new_server() -> Postgres:
    log = Path(tempfile.mkdtemp(prefix="tocsin-postgres-log-")) / "postgres.log"
    return Postgres(temporary_home(), log, _SETTINGS, ports.choose(1)[0])


@contextmanager
def _started(server: Postgres) -> Iterator[Postgres]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
        for folder in (server.home, server.socket, server.log.parent):
            shutil.rmtree(folder, ignore_errors=True)
