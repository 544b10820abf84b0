"""Checks the invariants after faults: whatever was accepted has happened exactly once, and all
services agree on it.

It uses none of the services' logic, so it cannot share their mistakes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import orjson

from shared.events import escalation, intake, rejections, reporting, triage
from tests.support.evidence import SUBSCRIPTIONS, Evidence

_EPOCH = 1 << 40  # in a sequence; below it stands a number
_FIRSTS = {
    intake.TOPIC: "IncidentReported",
    triage.TOPIC: "IncidentTriaged",
    escalation.TOPIC: "ResponseStarted",
}


@dataclass
class Accepted:
    """What Tocsin has accepted: signals by (origin, id), and who acknowledged or resolved which
    incident.
    """

    signals: set[tuple[str, str]] = field(default_factory=set)
    acknowledged: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, str] = field(default_factory=dict)


def complaints(evidence: Evidence, accepted: Accepted) -> list[str]:
    """Descriptions of all violations, each after its invariant; empty when all invariants hold."""
    return [
        f"{invariant}: {found}"
        for invariant, checks in INVARIANTS.items()
        for check in checks
        for found in check(evidence, accepted)
    ]


def _signals(evidence: Evidence, accepted: Accepted) -> Iterator[str]:
    kept = Counter((row["origin"], row["signal_id"]) for row in evidence.tables["signals"])
    yield from (f"accepted, but not kept: {pair}" for pair in accepted.signals - kept.keys())
    yield from (f"kept, but never accepted: {pair}" for pair in kept.keys() - accepted.signals)
    yield from (f"kept {count} times: {pair}" for pair, count in kept.items() if count > 1)
    counted = Counter(
        row["subject"]
        for row in evidence.tables["signals"]
        if row["decision"] in ("opened", "joined")
    )
    for row in evidence.tables["intake"]:
        if row["signal_count"] != counted[row["id"]]:
            expected = counted[row["id"]]
            yield f"incident {row['id']} counts {row['signal_count']} signals, not {expected}"
    yield from (
        f"signals went into no incident: {id}"
        for id in counted.keys() - evidence.by_id("intake").keys()
    )


def _responses(evidence: Evidence, accepted: Accepted) -> Iterator[str]:
    """Each acknowledgement and resolution was published once, under the right name, and no other
    was; resolutions have reached intake.
    """
    for kind, orders in (
        ("IncidentAcknowledged", accepted.acknowledged),
        ("IncidentResolved", accepted.resolved),
    ):
        published: dict[str, list[str]] = {id: [] for id in orders}
        for event in evidence.events(escalation.TOPIC):
            if event["type"].endswith(f".{kind}"):
                published.setdefault(event["subject"], []).append(event["data"]["by"])
        for id, by in published.items():
            if by != [orders.get(id)]:
                yield f"{kind} of {id}: accepted from {orders.get(id)}, published for {by}"
    incidents = evidence.by_id("intake")
    for id in accepted.resolved:
        if incidents[id]["status"] != "closed":
            yield f"{id} was resolved, and intake has it {incidents[id]['status']}"


def _events(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """For each incident and producer: no event is missing, none has two ids, and there is one first
    event.
    """
    for topic, first in _FIRSTS.items():
        producer, rows = topic.split(".")[1], evidence.by_id(topic.split(".")[1])
        sequences: dict[str, list[int]] = defaultdict(list)
        began = Counter[str]()
        for event in evidence.events(topic):
            sequences[event["subject"]].append(int(event["sequence"]))
            began[event["subject"]] += event["type"].endswith(f".{first}")
        for id in rows.keys() | sequences.keys() | evidence.by_id("intake").keys():
            published = sorted(sequences[id])
            if id not in rows or not _is_complete(published, rows[id]["sequence"]):
                yield f"{producer} of {id}: published {published}; its row: {rows.get(id)}"
            if began[id] != 1:
                yield f"{id} has {began[id]} {first}"


def _is_complete(published: Sequence[int], last: int) -> bool:
    """From the first to the last without a gap; a failover goes on in the next epoch."""
    return published[-1:] == [last] and all(
        sequence == before + 1 or (sequence % _EPOCH == 1 and sequence > before)
        for before, sequence in pairwise([0, *published])
    )


def _states(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Every service has read the newest event of the previous one, and reporting shows their
    states.
    """
    intakes, triages, responses = (
        evidence.by_id(name) for name in ("intake", "triage", "escalation")
    )
    newest = {
        r.key.decode(): orjson.loads(r.value)["data"]["incident"]
        for r in evidence.records[reporting.TOPIC]
        if r.key and r.value
    }
    history = Counter((row["id"], row["producer"]) for row in evidence.tables["timeline"])
    published = Counter(
        (event["subject"], topic.split(".")[1])
        for topic in _FIRSTS
        for event in evidence.events(topic)
    )
    reports = evidence.by_id("reporting")
    for id, row in intakes.items():
        if not all(id in stage for stage in (triages, responses, reports)):
            continue  # reported by the check of events
        report, response = reports[id], responses[id]
        sequences = {
            name: evidence.by_id(name)[id]["sequence"]
            for name in ("intake", "triage", "escalation")
        }
        agreed = {
            "triage has seen intake": (triages[id]["intake_sequence"], row["sequence"]),
            "escalation has seen triage": (
                response["state"]["response"]["triage_sequence"],
                triages[id]["sequence"],
            ),
            "reporting has seen all": (
                {name: report[f"{name}_sequence"] for name in sequences},
                sequences,
            ),
            "the timeline is whole": (
                {name: history[id, name] for name in sequences},
                {name: published[id, name] for name in sequences},
            ),
            "the status": (report["status"], response["status"]),
            "the count of signals": (report["state"]["signal_count"], row["signal_count"]),
            "the topic of states": (newest.get(id), report["state"]),
        }
        yield from (
            f"{id}: {what}: {one} is not {other}"
            for what, (one, other) in agreed.items()
            if one != other
        )
    yield from (
        f"reporting knows of {id}, which intake does not" for id in reports.keys() - intakes.keys()
    )


def _stalled(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """An open incident has a timer for its next step, or somebody has acknowledged it."""
    timers = {(row["id"], row["due_at"]) for row in evidence.tables["timers"]}
    for id, row in evidence.by_id("escalation").items():
        waiting, due = row["state"]["response"]["waiting_on"], row["state"]["due"]
        if row["status"] == "triggered" and (
            not due or (id, datetime.fromisoformat(due["due_at"])) not in timers
        ):
            yield f"{id} has no timer although it waits on: {waiting!r}, {due}"
        if row["status"] != "resolved" and not waiting:
            yield f"{id} does not name what it waits on"


def _stored_states(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """The newest event of each producer gives the stored state, whatever the order of reading."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for topic in _FIRSTS:
        for event in evidence.events(topic):
            place = topic, event["subject"]
            newest[place] = max(
                newest.get(place, event), event, key=lambda one: int(one["sequence"])
            )
    for id, row in evidence.by_id("escalation").items():
        published = newest.get((escalation.TOPIC, id), {}).get("data", {}).get("response", {})
        stored = row["state"]["response"]
        # The sequences that it has read advance without an event of its own.
        comparable = stored.keys() - {"intake_sequence", "triage_sequence"}
        differing = sorted(name for name in comparable if stored[name] != published.get(name))
        if differing:
            yield f"{id}: escalation's {differing} differ: stored {stored}, published {published}"
    for id, row in evidence.by_id("reporting").items():
        response = newest.get((escalation.TOPIC, id), {}).get("data", {}).get("response", {})
        incident = newest.get((intake.TOPIC, id), {}).get("data", {}).get("incident", {})
        expected = (
            response.get("status"),
            response.get("acknowledged_by"),
            incident.get("signal_count"),
        )
        reported = tuple(
            row["state"][name] for name in ("status", "acknowledged_by", "signal_count")
        )
        if expected != reported:
            yield f"{id}: reporting shows {reported}, the newest events say {expected}"


def _unpaged(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Every incident reached somebody, and every page arrived unless somebody acknowledged
    before.
    """
    reached = {page.body["data"]["incident_id"] for page in evidence.pages}
    yield from (f"nobody was paged for {id}" for id in evidence.by_id("intake").keys() - reached)
    responses, arrived = evidence.by_id("escalation"), {page.webhook_id for page in evidence.pages}
    for row in evidence.tables["deliveries"]:
        if (
            responses[row["incident"]]["status"] == "triggered"
            and row["attempt_key"] not in arrived
        ):
            yield f"never arrived, although nobody has acknowledged: {row}"


def _repeated_pages(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """One page has one attempt key; it arrives twice only where the ledger admits a possible
    duplicate.
    """
    keys: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for page in evidence.pages:
        data = page.body["data"]
        keys[data["incident_id"], data["round"], data["step"], data["user"]].add(page.webhook_id)
    yield from (
        f"{page} was sent under {len(ids)} keys: {sorted(ids)}"
        for page, ids in keys.items()
        if len(ids) > 1
    )
    admitted = {
        row["attempt_key"] for row in evidence.tables["deliveries"] if row["possible_duplicate"]
    }
    for key, times in Counter(page.webhook_id for page in evidence.pages).items():
        if times > 1 and key not in admitted:
            yield f"{key} arrived {times} times, but the ledger calls it no possible duplicate"


def _ledger(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Pages that the ledger calls sent have arrived, arrived pages are in the ledger, and each was
    published once.
    """
    arrived = {page.webhook_id for page in evidence.pages}
    rows = {row["attempt_key"]: row for row in evidence.tables["deliveries"]}
    sent = {key for key, row in rows.items() if row["status"] == "sent"}
    published = Counter(
        event["data"]["page"]["attempt_key"]
        for event in evidence.events(escalation.TOPIC)
        if event["type"].endswith(".PageSent")
    )
    yield from (f"called sent, but it never arrived: {key}" for key in sent - arrived)
    yield from (f"arrived, but the ledger has no such page: {key}" for key in arrived - rows.keys())
    yield from (
        f"sent, but published {published[key]} times: {key}"
        for key in sent | published.keys()
        if published[key] != 1
    )


def _audit(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Every record of every topic was recorded once, byte for byte, in a chain that verifies."""
    kept = {
        (row["topic"], row["partition"], row["offset"]): row["value"]
        for row in evidence.tables["audit"]
    }
    seen = {
        (topic, r.partition, r.offset): r.value
        for topic in SUBSCRIPTIONS["reporting"]
        for r in evidence.records[topic]
    }
    if kept != seen:
        lacks, invents = sorted(seen.keys() - kept.keys()), sorted(kept.keys() - seen.keys())
        yield f"the audit log lacks {lacks[:5]}, has extra {invents[:5]}, or has other bytes"
    yield from evidence.broken_chains


def _refused(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Nothing accepted was dead-lettered or rejected, and no outbox has rows left."""
    for topic in (rejections.DEAD_LETTERS, rejections.REJECTIONS):
        yield from (f"{topic}: {event['data']['reason']}" for event in evidence.events(topic))
    yield from (
        f"the outbox of {service} has {count} rows"
        for service, count in evidence.waiting.items()
        if count
    )


INVARIANTS = {
    "I1, what was acknowledged is accounted for": (_signals, _responses, _events, _refused),
    "I2, an open incident has a due timer or waits on a named thing": (_stalled, _unpaged),
    "I3, a page has one attempt key, which a repeat reuses": (_repeated_pages, _ledger),
    "I4, the same events give the same state": (_states, _stored_states),
    "I5, the audit chain verifies": (_audit,),
}
"""The invariants that must hold after any fault, and their checks."""
