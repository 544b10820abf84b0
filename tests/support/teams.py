"""Teams files for tests."""

from ipaddress import ip_network

from services.escalation.delivery.channel_registry import ChannelRegistry
from services.escalation.policies.policy import Teams, read_teams
from shared.policy.files import PolicyFile

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def teams_of(text: str, channels: ChannelRegistry | None = None) -> PolicyFile[Teams]:
    """A teams file in which every address is permitted."""
    registry = channels or ChannelRegistry.load()
    return read_teams(text.encode(), registry.methods(EVERYWHERE))
