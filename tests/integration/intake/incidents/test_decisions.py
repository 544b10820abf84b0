"""Decisions on a real database: they are explained, tried without a trace, and corrected."""

import os
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from services.intake.gateways.registry import Registry
from services.intake.handlers import Handlers
from services.intake.incidents.decisions import Decisions
from services.intake.incidents.domain.payload import Payload
from services.intake.incidents.domain.reclassification import Reclassify
from services.intake.incidents.http.decisions import make_router
from services.intake.incidents.policy import read_intake_policy
from services.intake.signals.domain import AlertData, Signal
from services.triage.catalogue.policy import Catalogue
from services.triage.priority.domain import triage
from shared.events.intake import ReportedIncident
from shared.http.app import create_app
from shared.kafka.record import Record
from shared.policy.files import PolicyFile
from tests.integration.intake.conftest import NOON, World, fired, notification, post
from tests.support.http import served
from tests.support.running import TOKEN, alert
from tests.support.stack import runtime_dsn

POLICY = read_intake_policy(
    b"""
normalise:
  service: [app]
  severities: {purple: warning}
redact:
  patterns: [{name: customer, pattern: "CUST-[0-9]+"}]
classify:
  - {kind: request, summary: "(?i)please"}
"""
)
CATALOGUE = PolicyFile(
    "catalogue.yaml",
    "c1",
    "",
    Catalogue.model_validate(
        {"default_team": "platform", "services": {"checkout": {"team": "payments", "tier": 1}}}
    ),
)
TABLES = ("signals", "incidents", "alerts", "outbox", "timers")


@pytest.fixture
def decisions(world: World) -> Decisions:
    """On a world whose policy says more than the defaults."""
    world.handlers = Handlers(
        lambda: POLICY.content, lambda: world.clock[0], lambda: POLICY.version
    )
    gateways = list(Registry.discover())
    return Decisions(world.database, world.handlers.preview, gateways, lambda: world.clock[0])


@pytest.fixture
async def api(decisions: Decisions) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """The API of decisions, and a client that has its token."""
    app = create_app("decisions", max_body=None)
    app.include_router(make_router(decisions, TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with served(app) as base, aiohttp.ClientSession(headers=headers) as client:
        yield base, client


def webhook(**labels: str) -> dict[str, Any]:
    """A notification of Alertmanager with more labels, and something that must not be kept."""
    body = notification("firing", "a")
    (one,) = body["alerts"]
    del one["labels"]["service"]
    one["labels"] |= {"severity": "PURPLE", "app": "checkout", **labels}
    one["annotations"]["description"] = "CUST-4711 called ana@corp.example"
    return body


async def counts(world: World) -> list[int]:
    return [len(await world.rows(f"SELECT FROM {table}")) for table in TABLES]


def owner(incident: dict[str, Any]) -> tuple[str, str, str]:
    """Whose an incident is, and under which policy, by triage."""
    reported = ReportedIncident.model_construct(**incident | {"severity_reason": None})
    decided = triage(reported, 1, CATALOGUE)
    return decided.team, decided.priority.value, decided.policy_version


async def test_preview_live_and_replay_are_one(world: World, decisions: Decisions) -> None:
    payload = Payload(orjson.dumps(webhook()), "alertmanager")
    before = await counts(world)
    (tried,) = (await decisions.try_out(payload))["signals"]
    assert await counts(world) == before, "nothing is kept"
    assert tried["decision"] == "opened"

    signals = decisions._read(payload)
    await world.take(*signals)
    found = await decisions.explain(signals[0].signal_id)
    assert found is not None
    (live,) = found["signals"]
    assert live["explanation"] == tried["explanation"]
    assert live["explanation"]["policy"] == POLICY.version
    assert live["explanation"]["grouped"].startswith("by its sender's group {}:{alertname=")
    same = ("severity", "service", "summary", "fingerprint", "kind", "status")
    for name in same:
        assert live["incident"][name] == tried["incident"][name], name
    assert owner(live["incident"]) == owner(tried["incident"]) == ("payments", "P2", "c1")

    recorded = live["explanation"]["data"]
    again = Signal(live["origin"], "again", NOON, NOON, None, AlertData(**recorded))
    async with world.database.transaction() as connection:
        outcome = await world.handlers.preview(connection, [again])
    assert vars(outcome.sent[0].data) == vars(AlertData(**recorded)), "it is as it was recorded"
    assert outcome.decided[0][1].decision == "joined"


async def test_what_must_not_be_kept_is_in_no_table(world: World, decisions: Decisions) -> None:
    await world.take(*decisions._read(Payload(orjson.dumps(webhook()), "alertmanager")))
    broken = alert("bad") | {"type": "password=hunter22"}
    secret = [Record("signals", 0, 0, NOON, None, orjson.dumps(broken))]
    async with world.database.transaction() as connection:
        await world.handlers.on_signals(connection, secret)
    outbox = [event for _, event in await world.outbox()]
    assert "SignalRejected" in str(outbox)
    kept = f"{outbox}" + "".join([f"{await world.rows(f'SELECT * FROM {t}')}" for t in TABLES[:3]])
    for secret_text in ("CUST-4711", "ana@corp", "hunter22"):
        assert secret_text not in kept
    found = await decisions.explain("INC-1000")
    assert found is not None
    (signal,) = found["signals"]
    assert ["annotations.description", "customer", 1] in signal["explanation"]["redacted"]


async def test_a_rule_makes_requests_of_alerts_and_nobody_is_paged(
    world: World, decisions: Decisions
) -> None:
    await world.take(fired("1", summary="Please restart it"), fired("2", summary="disk full"))
    assert [kind for kind, _ in await world.outbox()] == ["IncidentReported", "RequestLogged"]
    found = await decisions.explain("1")
    assert found is not None
    (row,) = found["signals"]
    assert (row["decision"], row["explanation"]["classified"]) == ("logged", "request, by rule 1")


async def test_a_request_of_a_person_ends_paging_and_alerts_go_on_joining(
    world: World, decisions: Decisions
) -> None:
    await world.take(fired("1"))
    order = Reclassify("request", "ben", "she asks for access")
    done = await decisions.reclassify("INC-1000", order)
    assert done is not None
    assert (done["changed"], done["kind"]) == (True, "request")
    again = await decisions.reclassify("1000", Reclassify("change", "ana"))
    assert again is not None
    assert (again["changed"], again["said"]) == (False, "ben said already: it is a request")
    events = await world.outbox()
    assert [kind for kind, _ in events] == [
        "IncidentReported",
        "IncidentReclassified",
        "RequestLogged",
    ]
    assert events[1][1]["data"]["incident"]["kind_by"] == "ben"
    assert events[1][1]["data"]["logged_as"] == events[2][1]["subject"]
    await world.resolved(seen=2)
    await world.take(fired("2"))
    rows = await world.rows("SELECT status, kind, signal_count FROM incidents")
    assert rows == [{"status": "open", "kind": "request", "signal_count": 2}]
    await world.take(fired("3", status="resolved"))
    assert [row["status"] for row in await world.rows("SELECT status FROM incidents")] == [
        "cleared"
    ]


async def test_the_api(api: tuple[str, aiohttp.ClientSession], world: World) -> None:
    base, client = api
    status, tried = await post(client, f"{base}/v1/try?gateway=alertmanager", webhook())
    assert (status, tried["signals"][0]["decision"]) == (200, "opened")
    status, problem = await post(client, f"{base}/v1/try?gateway=alertmanager", {"alerts": []})
    assert (status, problem["field"]) == (400, "body.alerts")
    status, problem = await post(client, f"{base}/v1/try?gateway=pigeon", {})
    assert (status, problem["field"]) == (422, "gateway")
    await world.take(fired("a/b c"))
    async with client.get(f"{base}/v1/decisions/a%2Fb%20c") as answer:
        found = orjson.loads(await answer.read())
    number = found["signals"][0]["incident"]["incident"]
    async with client.get(f"{base}/v1/decisions/{number}") as answer:
        assert orjson.loads(await answer.read())["signals"][0]["signal_id"] == "a/b c"
    order = {"kind": "request", "by": "ben"}
    url = f"{base}/v1/incidents/{number}/reclassify"
    async with client.post(url, json=order) as answer:
        assert (answer.status, (await answer.json())["changed"]) == (200, True)
    for path, sent in (("decisions/INC-7", None), ("incidents/INC-7/reclassify", order)):
        method = "POST" if sent else "GET"
        async with client.request(method, f"{base}/v1/{path}", json=sent) as answer:
            assert answer.status == 404
    async with aiohttp.ClientSession() as stranger:
        status, _ = await post(stranger, f"{base}/v1/try", webhook())
        assert status == 401


async def test_the_command_line(world: World, decisions: Decisions, tmp_path: Path) -> None:
    (tmp_path / "intake.yaml").write_text(POLICY.text)
    file = tmp_path / "payload.json"
    file.write_bytes(orjson.dumps(webhook()))
    settings = {
        "TOCSIN_POSTGRES": runtime_dsn(world.admin, "{service}"),
        "TOCSIN_POLICY_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
    }

    async def tocsin(*arguments: str) -> tuple[int | None, str]:
        command = (sys.executable, "-m", "shared.runtime.cli", "intake", *arguments)
        process = await subprocess.create_subprocess_exec(
            *command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    status, output = await tocsin("try", str(file), "--gateway", "alertmanager")
    assert status == 0, output
    for said in ("opened", "severity `PURPLE` is warning", "in annotations.description x1"):
        assert said in output
    assert "CUST-4711" not in output
    assert await world.rows("SELECT FROM incidents") == []
    await world.take(fired("1"))
    number = (await world.rows("SELECT number FROM incidents"))[0]["number"]
    status, output = await tocsin("reclassify", f"INC-{number}", "request", "--by", "ben")
    assert (status, output) == (
        0,
        f"INC-{number}: it is a request: nobody is paged for it any more\n",
    )
    status, output = await tocsin("explain", f"INC-{number}")
    assert status == 0, output
    for said in (f"INC-{number} (open): disk full", "request", "1 of probe"):
        assert said in output
