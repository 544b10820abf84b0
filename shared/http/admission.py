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
    """Connections that share a bound: all, or those of a client. `waiting` are those of them with
    no request to answer, the one that has waited for the longest first.
    """

    most: int
    client: str = ""
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
        self._open: dict[Connection, Sequence[_Crowd]] = {}

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Whether a new connection from an IP address may stay; it waits for a request then."""
        crowds = self._crowds(address)
        if not all(crowd.has_room() for crowd in crowds):
            return False
        for crowd in crowds:
            crowd.make_room()
        self._open[connection] = crowds
        for crowd in crowds:
            crowd.size += 1
            if crowd.client:
                self._clients[crowd.client] = crowd
        self.waits(connection)
        return True

    def waits(self, connection: Connection) -> None:
        """It has no request to answer from now on."""
        for crowd in self._open.get(connection, ()):
            crowd.waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """A request of it is being answered."""
        for crowd in self._open.get(connection, ()):
            crowd.waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It is closed. Safe to repeat."""
        self.works(connection)
        for crowd in self._open.pop(connection, ()):
            crowd.size -= 1
            if crowd.client and not crowd.size:
                del self._clients[crowd.client]

    def _crowds(self, address: str | None) -> Sequence[_Crowd]:
        """The client's first: where it is full, its own connections give way."""
        if address is None or self._most_of_client is None or is_in(address, self._proxies):
            return (self._all,)
        client = client_of(address)
        return self._clients.get(client) or _Crowd(self._most_of_client, client), self._all
