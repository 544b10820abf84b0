"""Opsgenie's own client, and a real Alertmanager with `opsgenie_configs`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import opsgenie_sdk
import pytest
from opsgenie_sdk.exceptions import RetryableException
from yarl import URL

from tests.support.notifying import Notifier, alertmanager, needs_alertmanager
from tests.support.running import eventually

RECEIVER = """
    opsgenie_configs:
      - api_key: "{key}"
        api_url: "{base}/jsm/ops/integration/"
        priority: P2
        tags: prod,eu
        update_alerts: true
        details: {{team: databases}}
        responders: [{{name: Databases, type: team}}]
"""


@pytest.fixture
def key(http: aiohttp.ClientSession) -> str:
    """An integration key."""
    return http.headers["Authorization"].removeprefix("Bearer ")


Connect = Callable[[str], opsgenie_sdk.ApiClient]


@pytest.fixture
def connect(base: str) -> Connect:
    """Makes a client that has a key."""

    def client(key: str) -> opsgenie_sdk.ApiClient:
        configuration = opsgenie_sdk.Configuration()
        configuration.host = base
        configuration.api_key = {"Authorization": key}  # not a dictionary that all share
        configuration.retry_enabled = False
        configuration.short_polling_max_retries = 0
        return opsgenie_sdk.ApiClient(configuration)

    return client


@pytest.fixture
def alerts(connect: Connect, key: str) -> opsgenie_sdk.AlertApi:
    return opsgenie_sdk.AlertApi(connect(key))


async def asked(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a blocking call of the client returns."""
    return await asyncio.to_thread(lambda: call(*arguments, **named))


async def came_of(response: Any) -> Any:
    """What the status of a request says, asked once."""
    return (await asked(response.retrieve_result)).data


def payload(kind: str, **fields: Any) -> Any:
    return getattr(opsgenie_sdk, f"{kind}Payload")(**fields)


async def created(alerts: opsgenie_sdk.AlertApi, **fields: Any) -> str:
    """The id of a new alert."""
    sent = payload("CreateAlert", **{"message": "disk full", **fields})
    response = await asked(alerts.create_alert, sent)
    identifier = await asked(lambda: response.id)
    assert isinstance(identifier, str)
    return identifier


async def test_its_client_creates_reads_and_closes_an_alert(alerts: opsgenie_sdk.AlertApi) -> None:
    identifier = await created(
        alerts,
        alias="disk/db-1",
        description="91 % of /var",
        tags=["db", "prod"],
        details={"service": "orders"},
        entity="db-1",
        priority="P1",
    )
    assert identifier == await created(alerts, alias="disk/db-1", priority="P1")
    for kind, name in (("id", identifier), ("alias", "disk/db-1")):
        alert = (await asked(alerts.get_alert, name, identifier_type=kind)).data
        assert (alert.id, alert.alias, alert.status) == (identifier, "disk/db-1", "open")
        assert (alert.priority, alert.entity, alert.count) == ("P1", "db-1", 2)
        assert (alert.tags, alert.details["service"]) == (["db", "prod"], "orders")
    tiny = alert.tiny_id
    assert (await asked(alerts.get_alert, tiny, identifier_type="tiny")).data.id == identifier
    sent = payload("CloseAlert", user="ann", note="replaced")
    closed = await came_of(
        await asked(
            alerts.close_alert, "disk/db-1", identifier_type="alias", close_alert_payload=sent
        )
    )
    assert (closed.is_success, closed.alert_id, closed.alias) == (True, identifier, "disk/db-1")
    assert (await asked(alerts.get_alert, identifier)).data.status == "closed"
    assert await created(alerts, alias="disk/db-1") != identifier


async def test_its_client_changes_an_alert(alerts: opsgenie_sdk.AlertApi) -> None:
    identifier = await created(alerts, alias="disk", tags=["db"], details={"a": "1"})
    calls = [
        (alerts.acknowledge_alert, {"acknowledge_alert_payload": payload("AcknowledgeAlert")}),
        (alerts.add_note, {"add_note_to_alert_payload": payload("AddNoteToAlert", note="on it")}),
        (alerts.add_tags, {"add_tags_to_alert_payload": payload("AddTagsToAlert", tags=["new"])}),
        (alerts.remove_tags, {"tags": ["db"]}),
        (
            alerts.add_details,
            {"add_details_to_alert_payload": payload("AddDetailsToAlert", details={"b": "2"})},
        ),
        (alerts.remove_details, {"keys": ["a"]}),
        (
            alerts.update_alert_message,
            {"update_alert_message_payload": payload("UpdateAlertMessage", message="disk 95 %")},
        ),
        (
            alerts.update_alert_description,
            {
                "update_alert_description_payload": payload(
                    "UpdateAlertDescription", description="more"
                )
            },
        ),
        (
            alerts.update_alert_priority,
            {"update_alert_priority_payload": payload("UpdateAlertPriority", priority="P1")},
        ),
    ]
    for call, named in calls:
        assert (await came_of(await asked(call, identifier, **named))).is_success, named
    alert = (await asked(alerts.get_alert, identifier)).data
    assert (alert.message, alert.description, alert.priority) == ("disk 95 %", "more", "P1")
    assert (alert.tags, alert.details, alert.acknowledged) == (["new"], {"b": "2"}, True)
    notes = (await asked(alerts.list_notes, identifier)).data
    assert [note.note for note in notes] == ["on it"]


async def test_its_client_is_told_what_is_not_done(alerts: opsgenie_sdk.AlertApi) -> None:
    identifier = await created(alerts, alias="disk")
    escalation = {"name": "Managers"}
    sent = payload("EscalateAlertToNext", escalation=escalation)
    outcome = await came_of(await asked(alerts.escalate_alert, identifier, sent))
    assert outcome.is_success is False
    assert "does not escalate" in outcome.status
    (note,) = (await asked(alerts.list_notes, identifier)).data
    assert "Managers" in note.note
    unknown = await came_of(await asked(alerts.delete_alert, "other", identifier_type="alias"))
    assert (unknown.is_success, unknown.status) == (
        *(False,),
        "There is no open alert with this alias",
    )


async def test_its_client_lists_and_counts(alerts: opsgenie_sdk.AlertApi) -> None:
    for number in range(3):
        await created(alerts, alias=f"a{number}", priority=f"P{number + 1}")
    listed = await asked(alerts.list_alerts, query="priority: (P1 OR P3)", sort="alias", limit=1)
    assert [one.alias for one in listed.data] == ["a2"]
    assert listed.paging.next
    assert (await asked(alerts.count_alerts, query="status:open")).data.count == 3


async def test_its_client_is_refused_in_opsgenies_way(
    connect: Connect, alerts: opsgenie_sdk.AlertApi
) -> None:
    stranger = opsgenie_sdk.AlertApi(connect("tocsin_0123456789ab_nonsense"))
    for call, status in (
        (lambda: stranger.count_alerts(), 401),
        (lambda: alerts.create_alert(payload("CreateAlert", message=" ")), 422),
        (lambda: alerts.get_alert("unknown"), 404),
        (lambda: alerts.get_request_status("unknown"), 404),
    ):
        with pytest.raises(RetryableException) as caught:
            await asked(call)
        answer: Any = caught.value
        assert answer.status == status
        assert '"requestId":' in answer.body


@pytest.mark.parametrize("prefix", ["", "/opsgenie", "/jsm/ops/integration"])
async def test_a_slash_in_an_alias_may_be_escaped_in_the_path(
    base: str, key: str, alerts: opsgenie_sdk.AlertApi, prefix: str
) -> None:
    await created(alerts, alias="web/checkout is up?")
    headers = {"Authorization": f"GenieKey {key}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{base}{prefix}/v2/alerts/web%2Fcheckout%20is%20up%3F/close?identifierType=alias"
        async with http.post(URL(url, encoded=True)) as answer:
            assert answer.status == 202
            body = await answer.json()
    outcome = (await asked(alerts.get_request_status, body["requestId"])).data
    assert outcome.is_success


@needs_alertmanager
async def test_alertmanager_opens_changes_and_closes_through_its_opsgenie_receiver(
    base: str, key: str, alerts: opsgenie_sdk.AlertApi, tmp_path: Path
) -> None:
    async def is_now(query: str, count: int) -> None:
        async def reached() -> bool:
            found = (await asked(alerts.count_alerts, query=query)).data.count
            return bool(found == count)

        await eventually(f"{count} alerts are {query}", reached)

    async def through(running: Notifier) -> None:
        await running.fire("DiskFull", "a")
        await is_now("priority:P2 AND tag:prod AND responders:Databases", 1)
        await running.fire("DiskFull", "b")
        await is_now('description:"instance = b"', 1)
        await running.resolve("DiskFull", "a", "b")
        await is_now("status:open", 0)

    async with alertmanager(tmp_path, RECEIVER.format(key=key, base=base)) as running:
        await through(running)


async def test_its_client_keeps_and_pings_heartbeats(connect: Connect, key: str) -> None:
    heartbeats = opsgenie_sdk.HeartbeatApi(connect(key))
    made = payload(
        "CreateHeartbeat",
        name="backup",
        description="nightly",
        interval=1,
        interval_unit="days",
        enabled=True,
        alert_priority="P1",
    )
    assert (await asked(heartbeats.create_heartbeat, made)).data.name == "backup"
    for name in ("backup", "unknown"):
        assert (await asked(heartbeats.ping, name)).result.startswith("PONG")
    found = (await asked(heartbeats.get_heartbeat, "backup")).data
    assert (found.interval, found.interval_unit, found.expired) == (1, "days", False)
    assert found.last_ping_time is not None
    sent = payload("UpdateHeartbeat", interval=2)
    await asked(heartbeats.update_heartbeat, "backup", update_heartbeat_payload=sent)
    assert (await asked(heartbeats.disable_heartbeat, "backup")).data.enabled is False
    assert (await asked(heartbeats.enable_heartbeat, "backup")).data.enabled is True
    (listed,) = (await asked(heartbeats.list_heart_beats)).data.heartbeats
    assert (listed.name, listed.enabled) == ("backup", True)
    await asked(heartbeats.delete_heartbeat, "backup")
    with pytest.raises(RetryableException):
        await asked(heartbeats.get_heartbeat, "backup")
