"""Finds the channels that are installed."""

import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from services.escalation.delivery import channels
from services.escalation.delivery.channel import Channel
from services.escalation.people.policy import Methods
from shared.http.network import Network
from shared.runtime.discovery import installed

ENTRY_POINTS = "tocsin.channels"
"""Group of entry points by which other distributions add channels: `name = "module:CHANNEL"`."""


class ChannelRegistry:
    """Channels by their names. Raises ValueError when two have one name, or one field."""

    def __init__(self, found: Iterable[Channel]) -> None:
        self._channels: dict[str, Channel] = {}
        for channel in found:
            taken = {(other.name, other.field) for other in self}
            if any(channel.name == name or channel.field == field for name, field in taken):
                raise ValueError(f"there is a second channel {channel.name} ({channel.field})")
            self._channels[channel.name] = channel

    @classmethod
    def load(cls) -> "ChannelRegistry":
        """Those of this package, and those that other distributions name as entry points."""
        return cls([*_own(), *(entry.load() for entry in installed(ENTRY_POINTS))])

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels.values())

    def field(self, name: str) -> str | None:
        """The key of a user that holds the address for a channel; None for an unknown one."""
        channel = self._channels.get(name)
        return channel.field if channel else None

    def methods(self, allowed: Sequence[Network]) -> Methods:
        """The channels as teams.yaml knows them, with these private networks permitted."""
        return {channel.name: channel.method(allowed) for channel in self}


def _own() -> Iterator[Channel]:
    for module in pkgutil.iter_modules(channels.__path__, f"{channels.__name__}."):
        channel: Channel | None = getattr(import_module(module.name), "CHANNEL", None)
        if channel is not None:
            yield channel
