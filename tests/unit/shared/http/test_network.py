"""Networks are a list with commas."""

from ipaddress import ip_network

import pytest

from shared.http.network import parse_networks


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
