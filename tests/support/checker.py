"""Accounts for everything a Tocsin was given: whatever was promised has happened, once, and
everybody agrees on it.

It knows nothing of how the services work, so that it cannot share their mistakes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from shared.events import escalation, intake, rejections, reporting, triage
from tests.support.evidence import SUBSCRIPTIONS, Evidence

_FIRSTS = {
    intake.TOPIC: "IncidentReported",
    triage.TOPIC: "IncidentTriaged",
    escalation.TOPIC: "ResponseStarted",
}


@dataclass
class Accepted:
    """What Tocsin has promised: signals by (origin, id), and who acknowledged or resolved which
    incident.
    """

    signals: set[tuple[str, str]] = field(default_factory=set)
    acknowledged: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, str] = field(default_factory=dict)


def complaints(evidence: Evidence, accepted: Accepted) -> list[str]:
    """What is wrong, in words, after the invariant that it breaks; empty when all of them hold."""
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
            yield f"incident {row['id']} counts {row['signal_count']} signals of {counted[row['id']]}"
    yield from (
        f"signals went into no incident: {id}"
        for id in counted.keys() - evidence.by_id("intake").keys()
    )


def _orders(evidence: Evidence, accepted: Accepted) -> Iterator[str]:
    """What responders did was told once, in their name, and nothing else was; a resolution has
    reached intake.
    """
    for kind, orders in (
        ("IncidentAcknowledged", accepted.acknowledged),
        ("IncidentResolved", accepted.resolved),
    ):
        told: dict[str, list[str]] = {id: [] for id in orders}
        for event in evidence.events(escalation.TOPIC):
            if event["type"].endswith(f".{kind}"):
                told.setdefault(event["subject"], []).append(event["data"]["by"])
        for id, by in told.items():
            if by != [orders.get(id)]:
                yield f"{kind} of {id}: accepted from {orders.get(id)}, told of {by}"
    incidents = evidence.by_id("intake")
    for id in accepted.resolved:
        if incidents[id]["status"] != "closed":
            yield f"{id} was resolved, and intake has it {incidents[id]['status']}"


def _events(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Of each incident and producer: no event is missing, none came under two ids, and it began
    once.
    """
    for topic, first in _FIRSTS.items():
        producer, rows = topic.split(".")[1], evidence.by_id(topic.split(".")[1])
        sequences: dict[str, list[int]] = defaultdict(list)
        began = Counter[str]()
        for event in evidence.events(topic):
            sequences[event["subject"]].append(int(event["sequence"]))
            began[event["subject"]] += event["type"].endswith(f".{first}")
        for id in rows.keys() | sequences.keys() | evidence.by_id("intake").keys():
            told = sorted(sequences[id])
            if (
                id not in rows
                or told != list(range(1, len(told) + 1))
                or len(told) != rows[id]["sequence"]
            ):
                yield f"{producer} of {id}: {told} were told; its row: {rows.get(id)}"
            if began[id] != 1:
                yield f"{id} has {began[id]} {first}"


def _states(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Every service has seen the newest of the one before it, and reporting says what they say."""
    intakes, triages, responses = (
        evidence.by_id(name) for name in ("intake", "triage", "escalation")
    )
    newest = {
        r.key.decode(): orjson.loads(r.value)["data"]["incident"]
        for r in evidence.records[reporting.TOPIC]
        if r.key and r.value
    }
    history = Counter((row["id"], row["producer"]) for row in evidence.tables["timeline"])
    reports = evidence.by_id("reporting")
    for id, row in intakes.items():
        if not all(id in stage for stage in (triages, responses, reports)):
            continue  # told by the check of events
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
            "the timeline is whole": ({name: history[id, name] for name in sequences}, sequences),
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
    """An open incident has a timer for its next step, or somebody has taken it."""
    timers = {(row["id"], row["due_at"]) for row in evidence.tables["timers"]}
    for id, row in evidence.by_id("escalation").items():
        waiting, due = row["state"]["response"]["waiting_on"], row["state"]["due"]
        if row["status"] == "triggered" and (
            not due or (id, datetime.fromisoformat(due["due_at"])) not in timers
        ):
            yield f"{id} has no timer for what it waits on: {waiting!r}, {due}"
        if row["status"] != "resolved" and not waiting:
            yield f"{id} waits on nothing that has a name"


def _folded(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """The newest event of each producer, in whatever order all of them were read, gives the state
    that is stored.
    """
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for topic in _FIRSTS:
        for event in evidence.events(topic):
            place = topic, event["subject"]
            newest[place] = max(
                newest.get(place, event), event, key=lambda one: int(one["sequence"])
            )
    for id, row in evidence.by_id("escalation").items():
        told = newest.get((escalation.TOPIC, id), {}).get("data", {}).get("response", {})
        kept = row["state"]["response"]
        # How far it has read moves on without an event.
        if differing := [
            n
            for n in kept
            if kept[n] != told.get(n) and n not in ("intake_sequence", "triage_sequence")
        ]:
            yield f"{id}: escalation has {differing} otherwise than its newest event tells: {kept}, {told}"
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
            yield f"{id}: reporting has {reported}, and the newest events tell {expected}"


def _unpaged(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Somebody was reached for every incident; and by every page of it, unless a responder took it
    meanwhile.
    """
    reached = {page.body["data"]["incident_id"] for page in evidence.pages}
    yield from (f"nobody was paged for {id}" for id in evidence.by_id("intake").keys() - reached)
    responses, arrived = evidence.by_id("escalation"), {page.webhook_id for page in evidence.pages}
    for row in evidence.tables["deliveries"]:
        if (
            responses[row["incident"]]["status"] == "triggered"
            and row["attempt_key"] not in arrived
        ):
            yield f"never arrived, though nobody has taken the incident: {row}"


def _repeated_pages(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """One step reaches one person by one method under one key; twice only where the ledger admits
    that it may have.
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
            yield f"{key} arrived {times} times, and the ledger does not know that it may have"


def _ledger(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """What the ledger calls sent has arrived, what arrived is in the ledger, and each was told
    once.
    """
    arrived = {page.webhook_id for page in evidence.pages}
    rows = {row["attempt_key"]: row for row in evidence.tables["deliveries"]}
    sent = {key for key, row in rows.items() if row["status"] == "sent"}
    told = Counter(
        event["data"]["page"]["attempt_key"]
        for event in evidence.events(escalation.TOPIC)
        if event["type"].endswith(".PageSent")
    )
    yield from (f"called sent, but it never arrived: {key}" for key in sent - arrived)
    yield from (f"arrived, but the ledger has no such page: {key}" for key in arrived - rows.keys())
    yield from (
        f"sent, but told {told[key]} times: {key}" for key in sent | told.keys() if told[key] != 1
    )


def _audit(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Every record of every topic was recorded, once, as its exact bytes, in a chain that holds."""
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
        yield f"the audit log lacks {lacks[:5]}, invents {invents[:5]}, or has other bytes"
    yield from evidence.broken_chains


def _refused(evidence: Evidence, _: Accepted) -> Iterator[str]:
    """Nothing that was accepted was given up, and nothing still waits to be told."""
    for topic in (rejections.DEAD_LETTERS, rejections.REJECTIONS):
        yield from (f"{topic}: {event['data']['reason']}" for event in evidence.events(topic))
    yield from (
        f"the outbox of {service} has {count} rows"
        for service, count in evidence.waiting.items()
        if count
    )


INVARIANTS = {
    "I1, what was acknowledged is accounted for": (_signals, _orders, _events, _refused),
    "I2, an open incident has a due timer or waits on a named thing": (_stalled, _unpaged),
    "I3, a page has one attempt key, which a repeat reuses": (_repeated_pages, _ledger),
    "I4, the same events give the same state": (_states, _folded),
    "I5, the audit chain verifies": (_audit,),
}
"""What has to hold after any fault, and what is looked at for it."""
