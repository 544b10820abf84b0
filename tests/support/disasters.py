"""A PostgreSQL server that is backed up and restored with its own programs, as the runbooks say."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from deploy.local.postgres import THROWAWAY, Postgres, programs, temporary_home

_ARCHIVING = {**THROWAWAY, "archive_mode": "on", "archive_timeout": "0"}


class Archived:
    """The server; its write-ahead log is archived beside its data."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self._archive = home / "archive"
        self._log = log
        command = f"cp %p {self._archive}/%f"
        self._settings = {**_ARCHIVING, "archive_command": command}
        self.server = Postgres(home, log, self._settings)

    def start(self) -> None:
        """Start it, ready for backups."""
        self.server.start()
        self._archive.mkdir()
        self._own(self._archive)
        access = self.home / "data" / "pg_hba.conf"
        access.write_text("local replication all peer map=owner\n" + access.read_text())
        self.sql("SELECT pg_reload_conf()")

    def sql(self, statements: str, database: str = "tocsin") -> str:
        """What psql prints."""
        return self._run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements,
                         self.server.dsn(database))  # fmt: skip

    def dump(self, schema: str) -> Path:
        """A backup of one schema."""
        file = self._log.with_name(f"{schema}.dump")
        self._run("pg_dump", "--format=custom", f"--schema={schema}", f"--file={file}",
                  self.server.dsn())  # fmt: skip
        return file

    def restore(self, schema: str, dump: Path) -> None:
        """Put one schema back."""
        self.sql(f"DROP SCHEMA {schema} CASCADE")
        self._run("pg_restore", "--exit-on-error", f"--dbname={self.server.dsn()}", str(dump))

    def back_up(self) -> None:
        """A base backup of the whole server."""
        self._run("pg_basebackup", "--checkpoint=fast", f"--pgdata={self.home / 'base'}",
                  f"--dbname={self.server.dsn()}")  # fmt: skip

    def recover(self, to: datetime) -> None:
        """The disk is lost; the server is put back as it was at an instant."""
        self.sql("SELECT pg_switch_wal()", "postgres")
        self.server.stop()
        data = self.home / "data"
        shutil.rmtree(data)
        shutil.copytree(self.home / "base", data)
        (data / "complete").touch()
        (data / "recovery.signal").touch()
        for path in (data, *data.rglob("*")):
            self._own(path)
        data.chmod(0o700)
        recovery = {
            "restore_command": f"cp {self._archive}/%f %p",
            "recovery_target_time": to.isoformat(),
            "recovery_target_action": "promote",
        }
        self.server = Postgres(self.home, self._log, {**self._settings, **recovery})
        self.server.start()

    def _own(self, path: Path) -> None:
        if self.server.user:
            os.chown(path, pwd.getpwnam(self.server.user).pw_uid, -1)

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [programs(self.server.user) / program, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout.strip()


@contextmanager
def archived(folder: Path) -> Iterator[Archived]:
    """A server of its own, started, with its write-ahead log archived."""
    home, logs = temporary_home(), Path(tempfile.mkdtemp(prefix="tocsin-archived-"))
    it = Archived(home, logs / "postgres.log")
    try:
        it.start()
        yield it
    finally:
        it.server.stop()
        for path in (home, it.server.socket, logs):
            shutil.rmtree(path, ignore_errors=True)
