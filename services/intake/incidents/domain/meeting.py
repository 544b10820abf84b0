"""What a batch of alerts meets in the database, as far as the fold needs it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import UNLISTED, Incident, Member, Place
from services.intake.incidents.domain.storms import STORM, near, services_of, storm_fingerprint
from services.intake.incidents.policy import IntakePolicy


@dataclass(frozen=True, slots=True)
class Met:
    """`open` are the open incidents that the alerts fire in or may join. `episodes` are those of
    the newest incident of each fingerprint that is over; `open_counts` how many incidents are open,
    by service.
    """

    open: Sequence[Incident] = ()
    members: Mapping[Place, Member] = field(default_factory=dict)
    episodes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    open_counts: Mapping[str, int] = field(default_factory=dict)


def fingerprints_of(items: Collection[Grouped]) -> set[str]:
    """Those of the incidents that alerts may join: by policy or sender, on their own, or in the
    storm of a service.
    """
    found = {name for item in items for name in (item.fingerprint, item.alert.fingerprint)}
    return found | {storm_fingerprint(service) for service in services_of(items)}


def wanted_members(
    items: Collection[Grouped], open_incidents: Collection[Incident]
) -> tuple[set[Place], set[UUID]]:
    """The alerts of open incidents that the fold needs by key, and the incidents of which it needs
    all firing alerts.
    """
    taking = {one.fingerprint: one.incident_id for one in open_incidents if one.takes_more}
    named = {(one.incident_id, UNLISTED) for one in open_incidents if one.alerts_unlisted}
    groups: set[UUID] = set()
    for service in services_of(items):
        if storm := taking.get(storm_fingerprint(service)):
            named.add((storm, STORM))
    for item in items:
        if own := taking.get(item.alert.fingerprint):
            named.add((own, item.alert.data.alert or ""))
        joined, group = taking.get(item.fingerprint), item.group
        if joined is None:
            continue
        named.add((joined, item.member))
        if group is not None:
            named.add((joined, UNLISTED))
        if group is not None and group.all_resolved is not False:
            groups.add(joined)
    return named, groups


def numbers_needed(items: Sequence[Grouped], met: Met, policy: IntakePolicy) -> int:
    """Upper bound of new incidents: one for each new fingerprint, each resolve, each alert for
    which its incident may be full, and each service that may have a storm.
    """
    fired = {item.fingerprint for item in items if item.fires}
    known = {incident.fingerprint for incident in met.open if incident.takes_more}
    resolves = sum(1 for item in items if not item.fires and item.fingerprint in fired)
    limited = sum(1 for i in items if i.fires and (i.rule.window or i.rule.max_alerts))
    storms = 0
    if policy.storm:
        limit = near(policy.storm) - len(items)
        storms = sum(1 for opened in met.open_counts.values() if opened >= limit)
    return len(fired - known) + resolves + limited + storms
