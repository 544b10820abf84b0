"""How many connections a server has at once, and who gives way when there are too many."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.http.network import Network, client_of, is_in


class Connection(Protocol):
    """A connection as this module sees it."""

    def give_way(self) -> None:
        """Close, and leave the admission at once."""


@dataclass(slots=True)
class _Crowd:
    """Connections that share a bound; `waiting` are those of them with no request to answer, the
    one that has waited for the longest first.
    """

    most: int
    size: int = 0
    waiting: OrderedDict[Connection, None] = field(default_factory=OrderedDict)

    def has_room(self) -> bool:
        return self.size < self.most or bool(self.waiting)

    def make_room(self) -> None:
        if self.size >= self.most:
            next(iter(self.waiting)).give_way()


class Admission:
    """Admits connections: `most` altogether, and `most_of_client` from one client (an IPv4 address,
    or the /64 network of an IPv6 one).

    Where there is no room the connection that has waited for a request for the longest gives way,
    so nobody can hold the server by connections that do nothing. One whose request is being
    answered never does: where all are, the newcomer is refused. Proxies speak for many clients and
    have no bound of their own.
    """

    def __init__(
        self, most: int, most_of_client: int | None = None, proxies: Sequence[Network] = ()
    ) -> None:
        self._all = _Crowd(most)
        self._most_of_client = most_of_client
        self._proxies = proxies
        self._clients: dict[str, _Crowd] = {}
        self._open: dict[Connection, str | None] = {}

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Whether a new connection from an IP address may stay; it waits for a request then."""
        client = self._bounded(address)
        crowds = self._crowds(client)
        if not all(crowd.has_room() for crowd in crowds):
            self._forget_if_gone(client)
            return False
        for crowd in crowds:
            crowd.make_room()
        self._open[connection] = client
        for crowd in self._crowds(client):  # the client's may have become empty and been dropped
            crowd.size += 1
        self.waits(connection)
        return True

    def waits(self, connection: Connection) -> None:
        """It has no request to answer from now on."""
        for crowd in self._crowds_of(connection):
            crowd.waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """A request of it is being answered."""
        for crowd in self._crowds_of(connection):
            crowd.waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It is closed. Safe to repeat."""
        self.works(connection)
        for crowd in self._crowds_of(connection):
            crowd.size -= 1
        self._forget_if_gone(self._open.pop(connection, None))

    def _bounded(self, address: str | None) -> str | None:
        """The client whose connections are counted for this one."""
        if address is None or self._most_of_client is None or is_in(address, self._proxies):
            return None
        return client_of(address)

    def _forget_if_gone(self, client: str | None) -> None:
        if client is not None and not self._clients[client].size:
            del self._clients[client]

    def _crowds_of(self, connection: Connection) -> list[_Crowd]:
        return self._crowds(self._open[connection]) if connection in self._open else []

    def _crowds(self, client: str | None) -> list[_Crowd]:
        """The client's first: where it is full, its own connections give way."""
        if client is None:
            return [self._all]
        most = self._most_of_client or 0
        return [self._clients.setdefault(client, _Crowd(most)), self._all]
