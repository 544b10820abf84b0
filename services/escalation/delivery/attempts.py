"""One attempt at a page: find the address, build what it says, hand it to the channel, and tell
what came of it.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta

from services.escalation import spans
from services.escalation.delivery.channels.both import Channel
from services.escalation.delivery.domain.outcome import Failure, NotDelivered
from services.escalation.delivery.domain.pages import Notice
from services.escalation.delivery.domain.settlement import Claim
from services.escalation.links.domain import Links
from services.escalation.metrics import PAGE_METHOD
from services.escalation.people.policy import Method
from services.escalation.policies.policy import CurrentTeams
from services.escalation.spans import ATTEMPT, STEP
from shared.events.trace_context import TraceContext, new_trace
from shared.runtime.clock import Clock
from shared.telemetry import span
from shared.telemetry.attributes import INCIDENT_ID, Attribute

log = logging.getLogger(__name__)


class Attempts:
    """Makes attempts outside any transaction. `timeout` bounds one attempt."""

    def __init__(
        self,
        channels: Mapping[Method, Channel],
        teams: CurrentTeams,
        links: Links,
        console_url: str,
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        self.timeout = timeout
        self._channels = channels
        self._teams = teams
        self._links = links
        self._console_url = console_url.rstrip("/")
        self._clock = clock

    def problems(self) -> list[str]:
        """Users whom no method reaches, because none of theirs has its settings here."""
        users = self._teams().content.users.items()
        unreachable = sorted(
            name for name, user in users if not self._channels.keys() & set(user.methods)
        )
        return (
            [f"no method of these users has its settings: {', '.join(unreachable)}"]
            if unreachable
            else []
        )

    async def close(self) -> None:
        """Let go of connections."""
        for channel in self._channels.values():
            await channel.close()

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
            # Only the type: what it says may quote an address. It counts as an attempt, so it
            # cannot go on for ever.
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
            # This process was frozen since it claimed: the incident may be taken, and the page
            # another sender's.
            raise NotDelivered(Failure("the sender was held up"))
        user, channel = (
            self._teams().content.users.get(order.user),
            self._channels.get(order.method),
        )
        address = user and (user.webhook if order.method == "webhook" else user.email)
        if not address:
            raise NotDelivered(
                Failure(f"{order.user} has no {order.method} in teams.yaml any more", final=True)
            )
        if channel is None:
            raise NotDelivered(
                Failure(f"the method {order.method} has no settings here", final=True)
            )
        await channel.send(self._notice(claim, here), address, here)

    def _notice(self, claim: Claim, here: TraceContext) -> Notice:
        order, response, now = claim.order, claim.incident.response, self._clock()
        return Notice(
            attempt_key=order.attempt_key,
            incident_id=order.incident_id,
            number=response.number,
            summary=response.summary,
            service=response.service,
            priority=response.priority,
            team=response.team,
            runbook=claim.incident.runbook,
            user=order.user,
            step=order.step,
            round=order.round,
            why=order.why,
            acknowledge_url=self._links.url(order.incident_id, order.user, "acknowledge", now),
            resolve_url=self._links.url(order.incident_id, order.user, "resolve", now),
            console_url=f"{self._console_url}/incidents/{order.incident_id}",
            trace_id=here.trace_id,
            at=now,
        )
