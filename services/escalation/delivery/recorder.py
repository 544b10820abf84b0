"""Records the results of attempts at pages."""

import random
from collections.abc import Sequence
from datetime import datetime

from services.escalation.delivery import store as ledger
from services.escalation.delivery.domain.settlement import Result, Settled, arrived, settle
from services.escalation.policies.policy import CurrentTeams
from services.escalation.response import metrics
from services.escalation.response.domain.escalation import PageResult
from services.escalation.response.domain.incident import PageStatus
from services.escalation.response.incident_batch import IncidentBatch
from shared.events.facts import Event, event_messages, new_event, next_sequence
from shared.postgres.connection import Connection
from shared.postgres.errors import Conflict
from shared.postgres.outbox import outbox_write
from shared.postgres.writes import write_together


class Recorder:
    """A result of an attempt that is no longer under way is dropped: recording twice is harmless.

    A page that arrived, arrived when it was answered: by the time that is recorded, its user may
    have acknowledged. It changes nothing about its incident, so it is recorded without a lock, by a
    statement that fails if the incident was saved meanwhile: its fact would carry an outdated
    response under the newest sequence. Everything else is decided under the incident's lock.
    """

    def __init__(self, teams: CurrentTeams) -> None:
        self._teams = teams

    async def record_arrived(
        self, connection: Connection, results: Sequence[Result], now: datetime
    ) -> bool:
        """Record pages that arrived, outside a transaction. False when `record` has to: a page did
        not arrive, or somebody else saved an incident or a page. Then nothing has been recorded.
        """
        if any(result.failure for result in results):
            return False
        if not results:
            return True
        seen, epoch = await ledger.read_results(connection, [result.claim for result in results])
        current = [result for result in results if result.claim.order.attempt_key in seen]
        if not current:
            return True
        incidents = {one.incident.id: one for one in seen.values()}
        sequences = {id: one.sequence for id, one in incidents.items()}
        rows: list[Settled] = []
        events: list[Event] = []
        for claim, _, here, at in current:
            id = claim.order.incident_id
            sequences[id] = next_sequence(sequences[id], epoch)
            row, sent = arrived(incidents[id].incident, claim, at)
            rows.append(row)
            events.append(new_event(id, sequences[id], at, sent, here))
        writes = [
            ledger.unchanged_write(incidents, sequences, now),
            ledger.settled_write(rows),
            outbox_write(event_messages(events), now),
        ]
        try:
            await write_together(connection, writes)
        except Conflict:
            return False
        for result, event in zip(current, events, strict=True):
            metrics.count(event.data, incidents[event.subject].incident, result.trace)
        return True

    async def record(
        self, connection: Connection, results: Sequence[Result], now: datetime
    ) -> None:
        """Record any results, in a transaction."""
        teams = self._teams().content
        # Incidents before deliveries, as everywhere.
        ids = [result.claim.order.incident_id for result in results]
        batch = await IncidentBatch.load(connection, ids, now, ending=False)
        failing = {result.claim.order.incident_id for result in results if result.failure}
        incidents = [incident for id in failing if (incident := batch.incident(id))]
        claims = [result.claim for result in results]
        waiting, steps = await ledger.lock_results(connection, claims, incidents)
        rows = []
        for claim, failure, here, ended_at in results:
            key, incident = claim.order.attempt_key, batch.incident(claim.order.incident_id)
            if incident is None or key not in waiting:
                continue
            pages = steps.get(incident.id, {})
            others = [page for other, page in pages.items() if other != key]
            jitter = random.random()  # noqa: S311 - no secret
            at = now if failure else ended_at  # what follows from a failure is counted from now
            row, decision = settle(incident, claim, failure, others, teams, at, jitter)
            rows.append(row)
            pages[key] = PageResult(claim.order, row.status, row.error)
            pages |= {
                page.attempt_key: PageResult(page, PageStatus.PENDING) for page in decision.pages
            }
            batch.apply(incident.id, decision, here, at)
        await batch.save(connection, ledger.settled_write(rows))
