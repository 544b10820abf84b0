"""Where a page may not go, in every way of writing it."""

import socket
from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.egress import EgressRefused, check_url, guarded_socket, host_permitted, permitted
from shared.http.network import Network

SPECIAL_IPV4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
]
SPECIAL_IPV6 = [
    *("::1/128", "::/128", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64"),
    *("100:0:0:1::/64", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28"),
    *("2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10"),
    *("fec0::/10", "ff00::/8", "4000::/3"),
]
EMBEDDED = ["::ffff:0:0/96", "64:ff9b::/96"]
"""An IPv4 address at the end of these is what is reached."""
TUNNELS = {
    "IPv4-compatible": "::{v4}",
    "IPv4-translated": "::ffff:0:{v4}",
    "NAT64 for local use": "64:ff9b:1::{v4}",
    "6to4": "2002:{hex}::1",
    "ISATAP": "2606:4700::5efe:{v4}",
    "ISATAP, globally unique": "2606:4700::200:5efe:{v4}",
}
IPV4_NETWORKS = st.sampled_from([ip_network(text) for text in SPECIAL_IPV4])


def inside(network: Network, at: float) -> int:
    """An address of a network, as a number."""
    return int(network.network_address) + int((network.num_addresses - 1) * at)


def within(network: IPv4Network, at: float) -> IPv4Address:
    return IPv4Address(inside(network, at))


@pytest.mark.parametrize("text", [*SPECIAL_IPV4, *SPECIAL_IPV6])
@pytest.mark.parametrize("at", [0, 0.3, 1])
def test_no_special_purpose_address_is_permitted(text: str, at: float) -> None:
    network = ip_network(text)
    address = str(type(network.network_address)(inside(network, at)))
    assert not permitted(address, [])
    assert not permitted(f"{address}%eth0", [])
    assert check_url(f"http://{f'[{address}]' if ':' in address else address}/", [])


@given(network=IPV4_NETWORKS, at=st.floats(0, 1), outer=st.sampled_from(EMBEDDED))
def test_no_ipv6_form_reaches_a_special_ipv4_address(
    network: IPv4Network, at: float, outer: str
) -> None:
    address = str(ip_network(outer)[int(within(network, at))])
    assert not permitted(address, [])
    assert permitted(address, [network])  # it counts as the IPv4 address


@given(network=IPV4_NETWORKS, at=st.floats(0, 1), form=st.sampled_from(list(TUNNELS.values())))
def test_no_tunnel_leads_to_a_special_ipv4_address(
    network: IPv4Network, at: float, form: str
) -> None:
    v4 = within(network, at)
    number = f"{int(v4):08x}"
    assert not permitted(form.format(v4=v4, hex=f"{number[:4]}:{number[4:]}"), [])


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "11.0.0.0", "9.255.255.255", "100.128.0.0", "172.32.0.0"),
        *("192.0.1.0", "192.31.196.1", "192.169.0.0", "198.20.0.0", "223.255.255.255"),
        *("2606:4700::1111", "2001:200::", "2001:4860:4860::8888", "2003::", "3ffe:ffff::1"),
        *("2620:4f:8000::1", "2a00:1450::", "2606:4700::5efe:8.8.8.8"),
        *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
    ],
)
def test_a_public_address_is_permitted(address: str) -> None:
    assert permitted(address, [])


def test_a_single_network_can_be_permitted_and_no_other() -> None:
    allowed = [ip_network("10.20.0.0/16"), ip_network("fd00:1::/64")]
    assert permitted("10.20.3.4", allowed)
    assert permitted("::ffff:10.20.3.4", allowed)
    assert permitted("fd00:1::5", allowed)
    assert not permitted("10.21.3.4", allowed)
    assert not permitted("fd00:2::5", allowed)


PRIVATE_HOSTS = [
    "127.0.0.1",
    "169.254.169.254",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[fec0::1]",
    "192.0.0.170",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "pager.localhost",
    "127.0.0.1.",
    "2130706433",  # 127.0.0.1 as one number
    "2852039166",  # 169.254.169.254
    "0x7f000001",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "017700000001",
    "127.1",
    "10.1",
    "0",
    "１６９.254.169.254",  # full-width digits
    "169。254。169。254",
    "%31%36%39.254.169.254",
]


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_a_url_that_names_a_private_host_is_refused_before_it_is_called(host: str) -> None:
    assert not host_permitted(host, [])
    assert host_permitted(host, [ip_network("0.0.0.0/0"), ip_network("::/0")])
    refused = check_url(f"http://{host}/hush", [])
    assert refused
    assert "hush" not in refused


@pytest.mark.parametrize(
    "host", ["hooks.example.com", "8.8.8.8", "134744072", "[2606:4700::1111]", "0x8.example.com"]
)
def test_a_url_that_names_a_public_host_is_good(host: str) -> None:
    assert check_url(f"https://{host}:8443/x", []) is None


@pytest.mark.parametrize(
    "address",
    [
        "ftp://x/hush",
        "https:///hush",
        "https://me:hush@x/",
        "hush",
        "http://x:99999/",
        "http://[::1",
    ],
)
def test_a_wrong_address_is_refused_without_being_repeated(address: str) -> None:
    assert check_url(address, []) == (
        "an address is http:// or https:// with a host, and holds no user name"
    )


def test_no_socket_is_made_for_a_refused_address() -> None:
    make = guarded_socket([])
    with pytest.raises(EgressRefused):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80)))
    make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))).close()
