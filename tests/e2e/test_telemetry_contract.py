"""The four services export exactly what docs/telemetry.md declares, by OTLP and for Prometheus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.intake.spans import REPORT
from shared.telemetry.metrics import DEAD_LETTERS, GAUGE_FAILURES, OUTBOX_AGE, POLICY_FAULTS, STAGES
from tests.support.declared import (
    families_of,
    missing_metrics,
    missing_spans,
    undeclared_labels,
    undeclared_points,
    undeclared_spans,
)
from tests.support.escalating import Mailbox, mail_server
from tests.support.otlp import Backend
from tests.support.policies import policy_files
from tests.support.running import (
    SECRET,
    SERVICES,
    TOKEN,
    Received,
    Receiver,
    Running,
    Truth,
    eventually,
    running,
)
from tests.support.tracing import SUMMARY, Publisher, about, fault, let_time_pass, paged, resolved

_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
_STEPS = '{targets: ["user:anastasia"], wait: 1h}', '{targets: ["user:benedict"], wait: 1h}'


@pytest.fixture
async def mails() -> AsyncIterator[tuple[Mailbox, str]]:
    async with mail_server() as server:
        yield server


async def test_exactly_the_declared_telemetry_is_exported(
    kafka: str,
    database: str,
    topic_prefix: str,
    tmp_path: Path,
    pages: Receiver,
    telemetry: Backend,
    mails: tuple[Mailbox, str],
    publisher: Publisher,
) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": telemetry.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "TOCSIN_GAUGES_SECONDS": "0.2",
        "TOCSIN_SMTP": mails[1],
    }
    policy = policy_files(pages.url, *_STEPS, update_interval="0s")
    policy["teams.yaml"] = policy["teams.yaml"].replace("[webhook]", "[webhook, email]")
    await have_something_to_forget(database)
    async with running(kafka, database, topic_prefix, tmp_path, policy, **environment) as tocsin:
        async with unreadable(database, "reporting.timers"):
            await cause_every_outcome(tocsin, publisher, pages, mails[0], database)
            await eventually(
                "reporting drops levels that it cannot read", lambda: dropped(telemetry)
            )
        async with tocsin.http.get(tocsin.url("triage", "/openapi.json")) as answer:
            assert answer.status == 200  # it has no other requests to measure
        (tmp_path / "policy" / "teams.yaml").write_text("users: [")
        await eventually("escalation reports the refused file", lambda: refused(telemetry))
        await eventually("everything declared has arrived", lambda: complete(telemetry))
        scraped = {service: await scraped_whole(tocsin, service) for service in SERVICES}
        stages = {family.name: family for family in scraped["triage"]}[STAGES.prometheus]
        examples = {s.exemplar.labels["trace_id"] for s in stages.samples if s.exemplar}
        assert examples, "a histogram has exemplars"
        await eventually("their traces exist", lambda: known(telemetry, examples))

    dead_letters = {family.name: family for family in scraped["escalation"]}[
        DEAD_LETTERS.prometheus
    ]
    begun = {sample.labels["tocsin_origin"] for sample in dead_letters.samples if sample.value == 0}
    assert begun > {"timer", "outbox"}, (
        "counters start at 0, or their first failure would be no increase"
    )

    assert list(undeclared_spans(telemetry.spans)) == []
    for service in SERVICES:
        assert list(undeclared_points(service, telemetry.metrics[f"tocsin-{service}"])) == []
        assert undeclared_labels(scraped[service]) == set()
    private = [
        "nastasia",
        "enedict",
        "mail.example",
        "Zacharias",
        tocsin.key,
        TOKEN,
        SECRET,
        pages.url,
        SUMMARY,
    ]
    exported = b"".join(telemetry.bodies)
    assert [word for word in private if word.encode() in exported] == []


async def cause_every_outcome(
    tocsin: Running, publisher: Publisher, pages: Receiver, mailbox: Mailbox, database: str
) -> None:
    """Every outcome that signals, incidents and pages can have."""
    failures = [503]

    def answer(page: Received) -> int:
        """The first attempt fails; Benedict's webhook is gone, so he gets mail."""
        if ".benedict." in page.webhook_id:
            return 404
        return failures.pop() if failures else 200

    pages.answer = answer
    ids = [
        (await tocsin.signals(fault(key, key)))["signals"][0]["subject"] for key in ("disk", "net")
    ]
    await tocsin.signals(fault("disk", "disk"))  # the same signal again
    await tocsin.signals(
        fault("disk 2", "disk", severity="warning", service="search")
    )  # another signal of the same fault
    await tocsin.signals(fault("off", "was never on", status="resolved"))
    await tocsin.signals(other("Change"), other("ServiceRequest"), other("Advisory"))
    await publisher.structured({"specversion": "1.0"})
    order = other("command") | {"type": "tocsin.commands.AcknowledgeIncident"}
    await publisher.structured(
        order | {"data": {"incident_id": str(uuid4()), "by": "Zacharias"}},
        topic="tocsin.commands.v1",
    )
    for id in ids:
        await paged(pages, "anastasia", about(id))
    await let_time_pass(database)

    async def mailed() -> bool:
        return len(mailbox.mails) >= len(ids)

    await eventually("Benedict gets mail", mailed)
    await tocsin.act("acknowledge", ids[0])
    await tocsin.act("resolve", ids[0])
    await tocsin.signals(fault("net end", "net", status="resolved"))
    for id in ids:
        await resolved(tocsin, id)
    await turns_out_to_be_a_request(tocsin)


async def turns_out_to_be_a_request(tocsin: Running) -> None:
    """A person says that an incident is none: its response ends."""
    wish = (await tocsin.signals(fault("wish", "wish")))["signals"][0]["subject"]
    url = tocsin.url("intake", f"/v1/incidents/{wish}/reclassify")
    order = {"kind": "request", "by": "Zacharias"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with tocsin.http.post(url, headers=headers, json=order) as answer:
        assert answer.status == 200
    await resolved(tocsin, wish)


async def have_something_to_forget(database: str) -> None:
    """Retention of every service is due, and there is an old signal."""
    connection = await asyncpg.connect(database)
    for service in SERVICES:
        await connection.execute(f"UPDATE {service}.retention SET due_at = now()")
    await connection.execute(
        "INSERT INTO intake.signals VALUES ('old', 'old', now() - interval '8 days', 'opened')"
    )
    await connection.close()


def other(kind: str) -> dict[str, Any]:
    """A signal that is no alert."""
    event = {"specversion": "1.0", "id": kind, "source": "/other", "type": f"tocsin.signals.{kind}"}
    return event | {"data": {"summary": SUMMARY, "service": "checkout", "advisory": "CVE-1"}}


@asynccontextmanager
async def unreadable(database: str, table: str) -> AsyncIterator[None]:
    """Lock the table against all others inside the block."""
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def dropped(telemetry: Backend) -> bool:
    values = {point.name: point.value for point in telemetry.metrics.get("tocsin-reporting", [])}
    return values.get(GAUGE_FAILURES.name, 0) > 0 and OUTBOX_AGE.name not in values


async def refused(telemetry: Backend) -> bool:
    points = telemetry.metrics.get("tocsin-escalation", [])
    return any(point.name == POLICY_FAULTS.name and point.value for point in points)


async def complete(telemetry: Backend) -> Truth:
    missing = missing_spans(telemetry.spans) | missing_metrics(telemetry.metrics)
    return Truth(not missing, f"missing: {sorted(missing)}")


async def known(telemetry: Backend, trace_ids: set[str]) -> bool:
    return trace_ids <= {span.trace_id for span in telemetry.spans if span.name == REPORT.name}


async def scraped_whole(tocsin: Running, service: str) -> list[Family]:
    """What Prometheus scrapes, once every declared family is there."""

    async def scrape() -> list[Family] | None:
        url = tocsin.probe(service, "/metrics")
        async with tocsin.http.get(url, headers=_OPENMETRICS) as answer:
            text = await answer.text()
        families = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
        found = {family.name: family.type for family in families}
        return families if found == families_of(service) else None

    families: list[Family] = await eventually(f"all of {service} is scraped", scrape)
    return families
