"""IP networks, addresses and host names, as settings, servers and the rules for outgoing requests
name them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*")


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of `10.0.0.0/8, fd00::/8`. Raises ValueError when one has host bits set."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def parse_hosts(text: str) -> tuple[str, ...]:
    """The names of `tocsin.example.com, *.svc.cluster.local, ::1`, in lower case. Raises ValueError
    for what is no name.
    """
    names = tuple(part.strip().lower().strip("[]") for part in text.split(",") if part.strip())
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError("must be host names without scheme and port, with commas between them")
    return names


@lru_cache(4096)
def unmapped(address: str) -> str:
    """An IPv4 address as such where a socket for both versions says `::ffff:10.0.0.1`."""
    ip = _parse(address)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return str(mapped) if mapped else address


@lru_cache(4096)
def client_of(address: str) -> str:
    """Whom an address stands for: itself, or the /64 network that one IPv6 host usually has. What
    is no address stands for itself.
    """
    ip = _parse(address)
    if isinstance(ip, IPv6Address) and not ip.ipv4_mapped:
        return str(IPv6Network((int(ip) >> 64 << 64, 64)))
    return unmapped(address)


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks."""
    ip = _parse(unmapped(address))
    return ip is not None and any(ip in network for network in networks)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None
