"""Networks and host names are lists with commas; an address stands for a client."""

from ipaddress import ip_network

import pytest

from shared.http.network import client_of, is_in, parse_hosts, parse_networks, unmapped


def test_networks_of_both_families_are_read() -> None:
    assert parse_networks(" 10.0.0.0/8,,fd00::/8 ") == (
        ip_network("10.0.0.0/8"),
        ip_network("fd00::/8"),
    )
    assert parse_networks("") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "10.0.0.0/8 fd00::/8"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
        parse_networks(text)


def test_host_names_are_read_in_lower_case() -> None:
    assert parse_hosts(" Tocsin.Example.com,, *.tocsin.svc, [::1], 127.0.0.1") == (
        *("tocsin.example.com", "*.tocsin.svc", "::1", "127.0.0.1"),
    )


@pytest.mark.parametrize(
    "text", ["https://x.example", "x.example:80", "x.example/", "*", "a.*.b", "a b", "[::1]:80"]
)
def test_what_is_no_host_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host names without scheme and port"):
        parse_hosts(text)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_whom_an_address_stands_for(address: str, client: str) -> None:
    assert client_of(address) == client


def test_a_mapped_address_is_in_an_ipv4_network() -> None:
    networks = parse_networks("10.0.0.0/8, fd00::/8")
    assert unmapped("::ffff:10.0.0.1") == "10.0.0.1"
    assert is_in("::ffff:10.0.0.1", networks)
    assert is_in("fd00::1", networks)
    assert not is_in("11.0.0.1", networks)
    assert not is_in("no address", networks)
