"""PostgreSQL with TLS by a private authority, and passwords. The package that the local stack uses
is built without TLS, so this is Debian's.
"""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.ports import choose
from deploy.local.postgres import ADMIN, server_user, temporary_home
from deploy.local.process import as_user, spawn, stop
from tests.support.certificates import Certificate, authority, signed_by
from tests.support.stack import until

_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
_HBA = """
local   all all              trust
hostssl all all 127.0.0.1/32 scram-sha-256
"""
MISSING = None if _INSTALLED else "no PostgreSQL with TLS is installed (Debian: postgresql)"
"""Why there can be no such server, or None."""


@dataclass(frozen=True)
class Secured:
    """A server that takes TLS and passwords alone over TCP, for the name `localhost`. `admin` is a
    superuser's DSN on its socket.
    """

    admin: str
    port: int
    authority: Certificate

    def dsn(self, user: str, host: str = "localhost", **query: str | Path) -> str:
        """A DSN that verifies the server."""
        options = {"sslmode": "verify-full", "sslrootcert": self.authority.path, **query}
        text = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{user}@{host}:{self.port}/tocsin?{text}"

    async def set_passwords(self, **passwords: str) -> None:
        """Give roles passwords."""
        admin = await asyncpg.connect(self.admin)
        for role, password in passwords.items():
            await admin.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        await admin.close()


@contextmanager
def secured_server() -> Iterator[Secured]:
    """It has an empty database `tocsin`."""
    home, port = temporary_home(), choose(1)[0]
    folder = Path(tempfile.mkdtemp(prefix="tocsin-authority-"))
    trusted = authority(folder / "ca")
    issued = signed_by(trusted, home / "tls", "DNS:localhost")
    for path in (home, issued.path.parent, issued.path, issued.key):
        if user := server_user():
            shutil.chown(path, user)
    programs, data = _INSTALLED[-1].parent, home / "data"
    _run(programs / "initdb", "-D", data, "-U", ADMIN, "-A", "trust", "-E", "UTF8", "--locale=C")
    (data / "pg_hba.conf").write_text(_HBA)
    process = spawn(
        [programs / "postgres", "-D", data, "-k", home, "-p", str(port), "-c", "ssl=on",
         "-c", f"ssl_cert_file={issued.path}", "-c", f"ssl_key_file={issued.key}",
         "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
        folder / "log", user=server_user(), on_parent_death=signal.SIGINT,
    )  # fmt: skip
    ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", home, "-p", str(port)]
    try:
        until(lambda: subprocess.run(ready, check=False).returncode == 0)
        _run(programs / "createdb", "-h", home, "-p", str(port), "-U", ADMIN, "tocsin")
        yield Secured(f"postgresql://{ADMIN}@/tocsin?host={home}&port={port}", port, trusted)
    finally:
        stop(process, signal.SIGINT, 10)
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/", **as_user(server_user()))
