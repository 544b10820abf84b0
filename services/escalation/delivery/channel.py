"""What a way to reach people declares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from services.escalation.delivery.transport import Transport
from services.escalation.people.policy import Method
from shared.http.network import Network
from shared.policy.secrets import WrittenRule
from shared.policy.tree import Path
from shared.runtime.clock import Clock

CheckAddress = Callable[[str, Sequence[Network]], str | None]
OpenTransport = Callable[[Any, Clock], Transport | None]


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to reach a person; its module declares it as `CHANNEL`.

    `name` is what users write in `methods`, and `field` is their key for the address. `check` says
    what is wrong with an address when these are the only private networks that may be reached, or
    None; it never repeats the address. `rule` is the one for secrets in an address as it is written
    (see shared.policy.secrets). `settings` has a field for each variable: `slack_token` is
    TOCSIN_SLACK_TOKEN. `open` gets an instance of it, and returns None when the channel is not set
    up here. Users without `methods` are reached by the highest `preference` first.
    """

    name: str
    field: str
    check: CheckAddress
    settings: type[BaseModel]
    open: OpenTransport
    rule: Callable[[Path], WrittenRule] | None = None
    preference: int = 0

    def method(self, allowed: Sequence[Network]) -> Method:
        """The channel as teams.yaml knows it."""

        def check(address: str) -> str | None:
            return self.check(address, allowed)

        return Method(self.name, self.field, check, self.rule, self.preference)
