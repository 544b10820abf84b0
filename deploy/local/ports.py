"""Ports on loopback that nobody listens on."""

import random
import socket

# below the range that systems take the ports of outgoing connections from: those would steal a port
# that is kept
_RANGE = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(count: int) -> list[int]:
    """That many different free ports."""
    chosen: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
        if len(chosen) == count:
            return chosen
        if is_free(port):
            chosen.append(port)
    raise RuntimeError(f"no {count} free ports on 127.0.0.1 in {_RANGE.start}-{_RANGE.stop}")


def is_open(port: int) -> bool:
    """Whether something listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def url(port: int) -> str:
    """The base address of a server on loopback."""
    return f"http://127.0.0.1:{port}"
