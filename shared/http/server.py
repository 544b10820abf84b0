"""The socket that a service listens on, and a server that leaves it without failing a request."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

_BACKLOG = 2048
_LOOK_SECONDS = 0.01
_LOOKS = 300  # a caller on a busy machine may take a second from connecting to sending


def listen(host: str, port: int) -> socket.socket:
    """A new listening socket. Raises OSError when somebody else has the port."""
    listening = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM
    )
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio sets TCP_NODELAY on sockets it makes itself only; without it small answers wait
        # for the peer's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def listen_or_inherit(host: str, port: int, descriptor: int | None) -> socket.socket:
    """The socket that this process was given, or a new one where it was given none. Raises OSError
    as `listen` does.
    """
    return listen(host, port) if descriptor is None else inherit(descriptor)


def inherit(descriptor: int) -> socket.socket:
    """The listening socket that whoever started this process holds open for it."""
    listening = socket.socket(fileno=descriptor)
    listening.set_inheritable(False)
    listening.setblocking(False)
    return listening


class Server(uvicorn.Server):
    """uvicorn for a process that has more to stop, on a socket that may outlive the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: the service decides the order of the stop."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting; hear those who have just connected, whom uvicorn would cut off; then as
        uvicorn does.
        """
        for server in self.servers:
            server.close()
        for _ in range(_LOOKS):
            await asyncio.sleep(
                _LOOK_SECONDS
            )  # before the first look: who was accepted is in the list a step later
            if all(getattr(one, "cycle", one) for one in self.server_state.connections):
                break
        await super().shutdown(sockets)
