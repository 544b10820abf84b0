"""What leaves the four services is what docs/telemetry.md declares: no less and no more, by OTLP
and for Prometheus.
"""

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


async def test_what_leaves_is_what_is_declared(
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
    async with running(kafka, database, topic_prefix, tmp_path, policy, **environment) as tocsin:
        async with unreadable(database, "reporting.timers"):
            await story(tocsin, publisher, pages, mails[0], database)
            await eventually(
                "reporting drops the levels that it cannot read", lambda: dropped(telemetry)
            )
        (tmp_path / "policy" / "teams.yaml").write_text("users: [")
        await eventually("escalation tells that the file is refused", lambda: refused(telemetry))
        await eventually("all that is declared came", lambda: complete(telemetry))
        scraped = {service: await scraped_whole(tocsin, service) for service in SERVICES}
        stages = {family.name: family for family in scraped["triage"]}[STAGES.prometheus]
        examples = {s.exemplar.labels["trace_id"] for s in stages.samples if s.exemplar}
        assert examples, "a histogram shows the trace of one incident in the bucket"
        await eventually("which can be looked up", lambda: known(telemetry, examples))

    letters = {family.name: family for family in scraped["escalation"]}[DEAD_LETTERS.prometheus]
    begun = {sample.labels["tocsin_origin"] for sample in letters.samples if sample.value == 0}
    assert begun > {"timer", "outbox"}, (
        "what has not failed yet counts from 0: else its first failure is no rise"
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
    left = b"".join(telemetry.bodies)
    assert [word for word in private if word.encode() in left] == []


async def story(
    tocsin: Running, publisher: Publisher, pages: Receiver, mailbox: Mailbox, database: str
) -> None:
    """All that can become of a signal, an incident and a page."""
    broken = [503]

    def answer(page: Received) -> int:
        """The first page has to be repeated; Benedict's webhook is gone, so that he gets mail."""
        return 404 if ".benedict." in page.webhook_id else broken.pop() if broken else 200

    pages.answer = answer
    ids = [
        (await tocsin.signals(fault(key, key)))["signals"][0]["subject"] for key in ("disk", "net")
    ]
    await tocsin.signals(fault("disk", "disk"))  # a repeat of the sender's
    await tocsin.signals(
        fault("disk 2", "disk", severity="warning", service="search")
    )  # one of the fault
    await tocsin.signals(fault("off", "was never on", status="resolved"))
    await tocsin.signals(other("Change"), other("ServiceRequest"))
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


def other(kind: str) -> dict[str, Any]:
    """A signal that is no alert."""
    event = {"specversion": "1.0", "id": kind, "source": "/other", "type": f"tocsin.signals.{kind}"}
    return event | {"data": {"summary": SUMMARY, "service": "checkout"}}


@asynccontextmanager
async def unreadable(database: str, table: str) -> AsyncIterator[None]:
    """Nobody else reads the table inside the block."""
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
    """What Prometheus finds, once that is all it is to find."""

    async def scrape() -> list[Family] | None:
        async with tocsin.http.get(tocsin.url(service, "/metrics"), headers=_OPENMETRICS) as answer:
            families = list(text_string_to_metric_families(await answer.text()))  # type: ignore[no-untyped-call]
        found = {family.name: family.type for family in families}
        return families if found == families_of(service) else None

    families: list[Family] = await eventually(f"Prometheus finds all of {service}", scrape)
    return families
