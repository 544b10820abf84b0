"""C67: where a page may not go, in every way of writing it."""

import socket
from ipaddress import ip_network

import pytest

from services.escalation.delivery.domain.egress import (
    EgressRefused,
    guarded_socket,
    host_permitted,
    permitted,
    webhook_check,
)
from services.escalation.policies.policy import read_teams
from shared.policy.files import InvalidPolicy

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


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "::ffff:10.0.0.1", "localhost", "LOCALHOST"]
)
def test_a_url_that_names_a_private_host_is_refused_before_it_is_called(host: str) -> None:
    assert not host_permitted(host, [])
    assert host_permitted("hooks.example.com", [])


def test_no_socket_is_made_for_a_refused_address() -> None:
    make = guarded_socket([])
    with pytest.raises(EgressRefused):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80)))
    make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))).close()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "127.0.0.1", "[::ffff:169.254.169.254]", "localhost"]
)
def test_a_teams_file_with_a_private_webhook_is_refused_with_its_line(host: str) -> None:
    text = f"""
default_policy: p
users:
  ana: {{name: Ana, email: ana@example.com, webhook: "http://{host}/secret"}}
policies:
  p: {{steps: [{{targets: ["user:ana"], wait: 60s}}]}}
""".encode()
    with pytest.raises(InvalidPolicy) as refused:
        read_teams(text, webhook_check([]))
    (error,) = refused.value.errors
    assert str(error).startswith("teams.yaml:4: the webhook of `ana` is in a private network")
    assert "secret" not in str(error)
    read_teams(text, webhook_check([ip_network("0.0.0.0/0")]))
