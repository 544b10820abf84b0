"""Gateways: what other tools send becomes signals. One module per protocol declares `GATEWAY`."""
