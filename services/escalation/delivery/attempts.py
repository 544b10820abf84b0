"""One attempt at a page: find the address, build the notice, hand it to the channel."""

import logging
from collections.abc import Mapping
from datetime import timedelta

from services.escalation import spans
from services.escalation.delivery.channel_registry import ChannelRegistry
from services.escalation.delivery.domain.failure import Failure, NotDelivered
from services.escalation.delivery.domain.page import Notice
from services.escalation.delivery.domain.settlement import Claim
from services.escalation.delivery.transport import Transport
from services.escalation.links.domain import Links
from services.escalation.metrics import PAGE_METHOD
from services.escalation.policies.policy import CurrentTeams
from services.escalation.spans import ATTEMPT, STEP
from shared.events.trace_context import TraceContext, new_trace
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import INCIDENT_ID, Attribute

log = logging.getLogger(__name__)


class Attempts:
    """Makes attempts outside any transaction. `timeout` bounds one attempt; `transports` are the
    channels that are set up, by name.
    """

    def __init__(
        self,
        channels: ChannelRegistry,
        transports: Mapping[str, Transport],
        teams: CurrentTeams,
        links: Links,
        console_url: str,
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        self.timeout = timeout
        self._channels = channels
        self._transports = transports
        self._teams = teams
        self._links = links
        self._console_url = console_url.rstrip("/")
        self._clock = clock

    def problems(self) -> list[str]:
        """Names the users with no configured contact method."""
        usable = self._transports.keys()
        users = self._teams().content.users.items()
        unreachable = sorted(name for name, user in users if not usable & set(user.methods))
        if not unreachable:
            return []
        return [f"no method of these users has its settings: {', '.join(unreachable)}"]

    async def close(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            await transport.close()

    async def make(self, claim: Claim) -> tuple[Failure | None, TraceContext]:
        """Try once; None for delivered. The context is that of the attempt's own span."""
        order, parent = claim.order, claim.trace or new_trace()
        failure, here = None, parent
        try:
            attributes: dict[Attribute, str | int] = {
                INCIDENT_ID: str(order.incident_id),
                PAGE_METHOD: order.method,
                STEP: order.step,
                ATTEMPT: claim.attempts,
            }
            with span(spans.PAGE, parent, attributes) as context:
                here = context or parent
                await self._deliver(claim, here)
        except NotDelivered as error:
            failure = error.failure
        except Exception as error:
            # Only the type: the message may quote an address. It counts as an attempt, so that it
            # ends some day.
            failure = Failure(f"unexpected {type(error).__qualname__}", uncertain=True)
        if failure is not None:
            fields = {
                "attempt_key": order.attempt_key,
                "attempt": claim.attempts,
                "trace_id": here.trace_id,
            }
            log.warning("a page did not arrive", extra={**fields, "error": failure.error})
        return failure, here

    async def _deliver(self, claim: Claim, here: TraceContext) -> None:
        order = claim.order
        if self._clock() > claim.lease_ends - self.timeout:
            # This process was frozen since it claimed: the incident may have been acknowledged,
            # or another sender may have the page.
            raise NotDelivered(Failure("the sender was held up"))
        user, field = (
            self._teams().content.users.get(order.user),
            self._channels.field(order.method),
        )
        address = user.addresses.get(field) if user and field else None
        if address is None:
            error = f"{order.user} has no {order.method} in teams.yaml any more"
            raise NotDelivered(Failure(error, final=True))
        transport = self._transports.get(order.method)
        if transport is None:
            error = f"the method {order.method} has no settings here"
            raise NotDelivered(Failure(error, final=True))
        await transport.send(self._notice(claim, here), address, here)

    def _notice(self, claim: Claim, here: TraceContext) -> Notice:
        order, now = claim.order, self._clock()
        return Notice(
            order=order,
            incident=claim.incident,
            acknowledge_url=self._links.url(order.incident_id, order.user, "acknowledge", now),
            resolve_url=self._links.url(order.incident_id, order.user, "resolve", now),
            console_url=f"{self._console_url}/incidents/{order.incident_id}",
            trace_id=here.trace_id,
            at=now,
        )
