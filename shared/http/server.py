"""The socket that a service listens on, and a server that stops without failing a request."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from shared.http.admission import Admission
from shared.http.network import Network
from shared.http.protocol import BoundedHttp

_BACKLOG = 2048
_UNREAD_MS = 60_000
_POLL_SECONDS = 0.01
_POLLS = 300  # a caller on a busy machine may take a second from connecting to sending


def listen(host: str, port: int) -> socket.socket:
    """A new listening socket. Raises OSError when the port is taken."""
    listening = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM
    )
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio sets TCP_NODELAY on sockets it makes itself only; without it small answers wait
        # for the peer's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _drop_who_reads_nothing(listening)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        reason = f"cannot listen on {host}:{port} ({error.strerror})"
        raise OSError(error.errno, reason) from None
    return listening


def listen_or_inherit(host: str, port: int, descriptor: int | None) -> socket.socket:
    """The socket that this process was given, or a new one where it was given none. Raises OSError
    as `listen` does.
    """
    return listen(host, port) if descriptor is None else inherit(descriptor)


def inherit(descriptor: int) -> socket.socket:
    """The listening socket that this process inherited by its descriptor."""
    listening = socket.socket(fileno=descriptor)
    listening.set_inheritable(False)
    _drop_who_reads_nothing(listening)
    listening.setblocking(False)
    return listening


def _drop_who_reads_nothing(listening: socket.socket) -> None:
    """The system closes connections whose other side takes nothing of what it is sent for a minute:
    it has vanished, or keeps the answer from being sent.
    """
    if option := getattr(socket, "TCP_USER_TIMEOUT", None):  # Linux
        listening.setsockopt(socket.IPPROTO_TCP, option, _UNREAD_MS)


class Server(uvicorn.Server):
    """uvicorn in a process that also stops other parts, on a socket that may outlive it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: the service decides the order of the stop."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let new connections send their first request, then shut down as uvicorn
        does, which would close these.
        """
        for server in self.servers:
            server.close()
        for _ in range(_POLLS):
            # Before the first poll: an accepted connection is in the list one step later.
            await asyncio.sleep(_POLL_SECONDS)
            if all(getattr(one, "cycle", one) for one in self.server_state.connections):
                break
        await super().shutdown(sockets)


def make_server(
    app: ASGIApp,
    admission: Admission,
    *,
    keep_alive: int,
    grace: int,
    proxies: Sequence[Network] = (),
) -> Server:
    """A server with bounds on what callers send. `keep_alive` is how many seconds an idle
    connection is kept, `grace` how many a stop waits for requests in progress. Only `proxies` may
    say whom they forward for (X-Forwarded-For, X-Forwarded-Proto).
    """
    protocol: Any = partial(BoundedHttp, admission=admission)
    return Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=[str(network) for network in proxies],
            timeout_keep_alive=keep_alive,
            timeout_graceful_shutdown=grace,
        )
    )
