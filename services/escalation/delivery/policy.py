"""The check of teams.yaml with the channels that are installed."""

import os
from pathlib import Path

from services.escalation.delivery.channel_registry import ChannelRegistry
from services.escalation.policies.policy import FILE, read_teams
from shared.http.network import parse_networks
from shared.policy.files import PolicyError, check_file

_ALLOWED = "TOCSIN_ALLOWED_NETWORKS"


def check(directory: Path) -> list[PolicyError]:
    """All errors of teams.yaml in a policy folder. Addresses in private networks are errors unless
    TOCSIN_ALLOWED_NETWORKS permits them.
    """
    try:
        allowed = parse_networks(os.environ.get(_ALLOWED, ""))
    except ValueError as error:
        return [PolicyError(FILE, 0, f"{_ALLOWED}: {error}")]
    methods = ChannelRegistry.load().methods(allowed)
    return check_file(directory / FILE, lambda data: read_teams(data, methods))
