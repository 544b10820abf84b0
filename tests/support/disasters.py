"""A PostgreSQL server that is backed up and restored with its own programs, as the runbooks say."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from deploy.local.postgres import THROWAWAY, Postgres, programs, temporary_home
from tests.support.stack import until

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
        return self._sql(statements, self.server.dsn(database))

    def dump(self, schema: str) -> Path:
        """A backup of one schema."""
        return self._dump(schema, self.server)

    def dump_as_of(self, schema: str, instant: datetime) -> Path:
        """A backup of one schema as it was at an instant, from a second server that is recovered to
        then. Something must have been committed since.
        """
        self.archive()
        home = temporary_home()
        # It must not archive: the first server goes on with the timeline that it would leave.
        server = self._recovered(home, THROWAWAY, instant)
        try:
            return self._dump(schema, server)
        finally:
            server.stop()
            for path in (home, server.socket):
                shutil.rmtree(path, ignore_errors=True)

    def restore(self, schema: str, dump: Path) -> None:
        """Put one schema back."""
        self.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        self._run("pg_restore", "--exit-on-error", f"--dbname={self.server.dsn()}", str(dump))

    def back_up(self) -> None:
        """A base backup of the whole server, in place of the one before."""
        shutil.rmtree(self.home / "base", ignore_errors=True)
        self._run("pg_basebackup", "--checkpoint=fast", f"--pgdata={self.home / 'base'}",
                  f"--dbname={self.server.dsn()}")  # fmt: skip

    def archive(self) -> None:
        """Archive all that was committed until now."""
        segment = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        done = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
        until(lambda: self.sql(done) == "t")

    def recover(self, instant: datetime) -> None:
        """The disk is lost; the server is put back as it was at an instant, and backed up.
        Something must have been committed since.
        """
        self.archive()
        self.server.stop()
        shutil.rmtree(self.home / "data")
        self.server = self._recovered(self.home, self._settings, instant)
        self.back_up()

    def _recovered(self, home: Path, settings: Mapping[str, str], instant: datetime) -> Postgres:
        """A server with its data in `home`, started, as this one was at an instant."""
        data = home / "data"
        shutil.copytree(self.home / "base", data)
        (data / "complete").touch()
        (data / "recovery.signal").touch()
        for path in (home, data, *data.rglob("*")):
            self._own(path)
        data.chmod(0o700)
        recovery = {
            "restore_command": f"cp {self._archive}/%f %p",
            "recovery_target_time": instant.isoformat(),
            "recovery_target_action": "promote",
        }
        server = Postgres(home, self._log, {**settings, **recovery})
        server.start()
        # Until then it may show an earlier instant.
        until(lambda: self._sql("SELECT pg_is_in_recovery()", server.dsn()) == "f")
        return server

    def _sql(self, statements: str, dsn: str) -> str:
        return self._run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements, dsn)

    def _dump(self, schema: str, server: Postgres) -> Path:
        file = self._log.with_name(f"{schema}.dump")
        self._run("pg_dump", "--format=custom", f"--schema={schema}", f"--file={file}",
                  server.dsn())  # fmt: skip
        return file

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
