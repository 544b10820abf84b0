"""A server with TLS that the tests of connections and of the doctor share."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.secured import MISSING, Secured, secured_server


@pytest.fixture(scope="session")
def secured() -> Iterator[Secured]:
    """Intake's schema on a server of its own, which the command migrated over TLS. The passwords
    are `admin` for postgres and `one` for tocsin_intake.
    """
    if MISSING:
        pytest.skip(MISSING)
    with secured_server() as server:
        asyncio.run(server.set_passwords(postgres="admin"))
        dsn = server.dsn("postgres", password="admin")
        subprocess.run(
            [sys.executable, "-m", "shared.runtime.cli", "intake", "migrate"],
            env={**os.environ, "TOCSIN_POSTGRES_ADMIN": dsn},
            check=True,
            capture_output=True,
        )
        asyncio.run(server.set_passwords(tocsin_intake="one"))
        yield server
