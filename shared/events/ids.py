"""Identifiers: fresh ones are UUIDv7 (RFC 9562), so that they sort by time; ids made from a signal
are UUIDv5.
"""

import secrets
import time
from uuid import UUID, uuid5

_SIGNALS = UUID("6a3f1a5e-6f1c-5f0b-9d5e-0d5b2c7f4e11")
_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_LOW_62 = (1 << 62) - 1


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds, dice = time.time_ns() // 1_000_000, secrets.randbits(74)
    return UUID(int=milliseconds << 80 | _VERSION_7 | dice >> 62 << 64 | _VARIANT | dice & _LOW_62)


def derived_id(source: str, signal_id: str, role: str) -> UUID:
    """The id of what a signal caused. The same (source, id) gives the same UUID, so a replay makes
    nothing twice.
    """
    return uuid5(_SIGNALS, f"{role}\x1f{source}\x1f{signal_id}")
