"""Where a page may not go, in every way of writing it."""

import socket
from ipaddress import ip_network

import pytest

from services.escalation.delivery.domain.egress import (
    EgressRefused,
    check_url,
    guarded_socket,
    host_permitted,
    permitted,
)

PRIVATE = [
    "127.0.0.1",
    "169.254.169.254",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:169.254.169.254",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_in_every_form(address: str) -> None:
    assert not permitted(address, [])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
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
