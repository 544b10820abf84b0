"""IP networks, as settings and the rules for outgoing requests name them."""

from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of `10.0.0.0/8, fd00::/8`. Raises ValueError when one has host bits set."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
