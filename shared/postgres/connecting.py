"""Opens every connection of the program: services, commands and migrations, for notifications and
for leadership.
"""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

_TIMEOUT_SECONDS = 3.0
_PASSWORD_FILE = "password_file"  # noqa: S105 - the name of a parameter
# A peer that does not confirm what it was sent, or a probe, is given up after this.
_USER_TIMEOUT_MS = 4000
_SOCKET_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS),
)


if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection  # generic for the type checker alone


class WatchedConnection(_Connection):
    """Knows for how long it has waited for an answer. `backend` is the pid of its session on the
    server; a pooler tells its clients another one. `certificate` is the server's, as
    `ssl.SSLSocket.getpeercert` has it: empty if it was not verified, None without TLS.
    """

    def __init__(self, protocol: Any, transport: Any, *args: Any) -> None:
        super().__init__(protocol, transport, *args)
        self.backend = 0
        self.certificate: dict[str, Any] | None = transport.get_extra_info("peercert")
        self._asked_at: float | None = None
        _keep_alive(transport)

    def waits(self) -> float:
        """Seconds since a statement was sent that is not answered yet; 0 when there is none."""
        return 0.0 if self._asked_at is None else monotonic() - self._asked_at

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._asked_at = monotonic()
        try:
            yield
        finally:
            self._asked_at = None

    async def execute(self, *args: Any, **kwargs: Any) -> str:
        """As asyncpg's."""
        with self._waiting():
            return await super().execute(*args, **kwargs)

    async def executemany(self, *args: Any, **kwargs: Any) -> None:
        """As asyncpg's."""
        with self._waiting():
            await super().executemany(*args, **kwargs)

    async def fetch(self, *args: Any, **kwargs: Any) -> Any:
        """As asyncpg's."""
        with self._waiting():
            return await super().fetch(*args, **kwargs)

    async def fetchval(self, *args: Any, **kwargs: Any) -> Any:
        """As asyncpg's."""
        with self._waiting():
            return await super().fetchval(*args, **kwargs)

    async def fetchrow(self, *args: Any, **kwargs: Any) -> Any:
        """As asyncpg's."""
        with self._waiting():
            return await super().fetchrow(*args, **kwargs)


async def connect(
    dsn: str,
    application: str,
    *,
    timeout: float = _TIMEOUT_SECONDS,
    command_timeout: float | None = None,
) -> WatchedConnection:
    """A new session on the server that takes writes. Raises one of UNAVAILABLE.

    `dsn` is as libpq takes it, and may have `password_file=PATH` in its query, which is read for
    each new connection. With several hosts all are tried at once: one that does not answer costs no
    time. Then a standby is never taken.
    """
    dsn, password = await _with_password(dsn)
    hosts = each_host(dsn)
    attempts = [
        asyncpg.connect(
            one,
            password=password,
            timeout=timeout,
            command_timeout=command_timeout,
            connection_class=WatchedConnection,
            server_settings={"application_name": application},
        )
        for one in (hosts if len(hosts) == 1 else [_that_writes(host) for host in hosts])
    ]
    connection = await (attempts[0] if len(attempts) == 1 else _first_of(attempts))
    assert isinstance(connection, WatchedConnection)  # noqa: S101 - narrowed for the type checker
    try:
        connection.backend = await connection.fetchval("SELECT pg_backend_pid()", timeout=timeout)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _with_password(dsn: str) -> tuple[str, str | None]:
    """The DSN without what asyncpg does not know, and the password from its file."""
    parts = urlsplit(dsn)
    query = parse_qsl(parts.query, keep_blank_values=True)
    paths = [value for name, value in query if name == _PASSWORD_FILE]
    if not paths:
        return dsn, None
    rest = urlencode([(name, value) for name, value in query if name != _PASSWORD_FILE])
    text = await asyncio.to_thread(Path(paths[-1]).read_text, encoding="utf-8")
    return parts._replace(query=rest).geturl(), text.rstrip("\r\n")


def each_host(dsn: str) -> list[str]:
    """The DSN once for each of its hosts."""
    parts = urlsplit(dsn)
    login, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [dsn]
    return [parts._replace(netloc=f"{login}{at}{host}").geturl() for host in hosts.split(",")]


def host_of(dsn: str) -> str:
    """The host of a DSN and its port, as far as it names them outside its query."""
    return urlsplit(dsn).netloc.rpartition("@")[2]


async def load_certificate(dsn: str, application: str) -> dict[str, Any] | None:
    """The certificate that a single host shows, whether it takes writes or not; see
    WatchedConnection. Raises one of UNAVAILABLE.
    """
    connection = await connect(_with_option(dsn, "target_session_attrs", "any"), application)
    connection.terminate()
    return connection.certificate


def _that_writes(dsn: str) -> str:
    query = dict(parse_qsl(urlsplit(dsn).query))
    wanted = query.get("target_session_attrs", "read-write")
    return _with_option(dsn, "target_session_attrs", wanted)


def _with_option(dsn: str, name: str, value: str) -> str:
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | {name: value}
    return parts._replace(query=urlencode(query)).geturl()


async def _first_of(attempts: Sequence[Any]) -> Any:
    """The first session that can be had; the others are ended."""
    tasks = [asyncio.ensure_future(attempt) for attempt in attempts]
    errors: list[BaseException] = []
    chosen = None
    try:
        for attempt in asyncio.as_completed(tasks):
            try:
                chosen = await attempt
                return chosen
            except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
                errors.append(error)
    finally:
        for task in tasks:
            task.cancel()
        for made in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(made, WatchedConnection) and made is not chosen:
                made.terminate()
    # What a server said tells more than that another one is away.
    raise next((error for error in errors if isinstance(error, asyncpg.PostgresError)), errors[0])


def _keep_alive(transport: Any) -> None:
    """Let the kernel give up a peer that is gone, within seconds instead of minutes."""
    peer = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        for option in _SOCKET_OPTIONS:
            peer.setsockopt(*option)
