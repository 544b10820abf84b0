"""Free ports on loopback."""

import random
import socket

# Below the ephemeral range, so that no outgoing connection takes a port that is reserved here.
_RANGE = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether a server can listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(count: int) -> list[int]:
    """Choose this many different free ports. RuntimeError if there are too few."""
    chosen: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
        if len(chosen) == count:
            return chosen
        if is_free(port):
            chosen.append(port)
    raise RuntimeError(f"fewer than {count} free ports in {_RANGE.start}-{_RANGE.stop}")


def is_open(port: int) -> bool:
    """Whether something listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def url(port: int) -> str:
    """The base URL of a server on loopback."""
    return f"http://127.0.0.1:{port}"
