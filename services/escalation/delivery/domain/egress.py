"""Where pages may go: never to a private address, unless the operator permitted its network."""

import socket
import unicodedata
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.http.network import Network

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = IPv6Network("::/96")
_DOTS = str.maketrans("。｡", "..")  # separators of labels that NFKC does not turn into a dot


class EgressRefused(OSError):
    """The receiver's address is private and not among the permitted networks."""

    def __init__(self) -> None:
        super().__init__("the address is private and not in TOCSIN_ALLOWED_NETWORKS")


def permitted(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a connection to this IP address may be made. An IPv6 form of an IPv4 address counts
    as the latter.
    """
    ip = _reached(ip_address(address.partition("%")[0]))
    return any(ip in network for network in allowed) or (ip.is_global and not ip.is_multicast)


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
    """The IPv4 address that an IPv6 one stands for (mapped, translated, tunnelled), or itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64 or (ip in _IPV4_COMPATIBLE and int(ip) > 0xFFFF):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
