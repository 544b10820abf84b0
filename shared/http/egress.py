"""Where pages may go: never to a private address, unless the operator permitted its network."""

import socket
import unicodedata
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.http.network import Network

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is assigned of public IPv6: loopback, link-local, unique and site-local addresses,
multicast, NAT64 for local use and every old way to write an IPv4 address lie outside."""
_SPECIAL = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            # Protocol assignments with Teredo, documentation, 6to4: no receiver of pages is there,
            # and tunnels lead to the IPv4 address that they hold.
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
"""What is not public in IPv4 and in 2000::/3, by IANA's registries of special-purpose addresses;
Python's own tables differ from release to release."""
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_DOTS = str.maketrans("。｡", "..")  # separators of labels that NFKC does not turn into a dot


class EgressRefused(OSError):
    """The receiver's address is private and not among the permitted networks."""

    def __init__(self) -> None:
        super().__init__("the address is private and not in TOCSIN_ALLOWED_NETWORKS")


def permitted(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a connection to this IP address may be made: it is public, or in an allowed network.
    An IPv4 address that is written as IPv6 (mapped, or translated by NAT64) counts as IPv4.
    """
    ip = _reached(ip_address(address.partition("%")[0]))
    return any(ip in network for network in allowed) or is_public(ip)


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Whether the Internet routes to this address, and through it to no private one."""
    if any(ip in network for network in _SPECIAL):
        return False
    if isinstance(ip, IPv4Address):
        return True
    tunnel = int(ip) >> 32 & 0xFFFF_FFFF in _ISATAP  # of one site, to the IPv4 address at the end
    return ip in _GLOBAL_UNICAST and (not tunnel or is_public(_last_ipv4(ip)))


def host_permitted(host: str, allowed: Sequence[Network]) -> bool:
    """The same for a URL's host before it is resolved: False only for a literal address that is
    refused, in whatever form it is written. Other names are checked when they are called.
    """
    host = unicodedata.normalize("NFKC", unquote(host)).translate(_DOTS).lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return permitted("127.0.0.1", allowed)
    try:
        return permitted(host.strip("[]"), allowed)
    except ValueError:
        pass
    try:
        # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to every resolver.
        return permitted(socket.inet_ntoa(socket.inet_aton(host)), allowed)
    except (OSError, ValueError):
        return True


def check_url(url: str, allowed: Sequence[Network]) -> str | None:
    """What is wrong with a URL that pages are sent to, or None. The answer does not repeat it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or parts.username is not None:
        return "an address is http:// or https:// with a host, and holds no user name"
    if not host_permitted(host, allowed):
        return "the address is in a private network that TOCSIN_ALLOWED_NETWORKS does not permit"
    return None


def guarded_socket(allowed: Sequence[Network]) -> Callable[[AddressInfo], socket.socket]:
    """A socket factory for aiohttp's connector, which calls it with the very address that it
    connects to next. So a name that resolves to another address the second time (rebinding) gains
    nothing. It raises EgressRefused.
    """

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not permitted(address[0], allowed):
            raise EgressRefused
        return socket.socket(family, kind, protocol)

    return make


def _reached(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, or itself."""
    if isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip in _NAT64):
        return _last_ipv4(ip)
    return ip


def _last_ipv4(ip: IPv6Address) -> IPv4Address:
    return IPv4Address(int(ip) & 0xFFFF_FFFF)
