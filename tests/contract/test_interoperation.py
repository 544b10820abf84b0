"""The reference library of CloudEvents and Tocsin read each other's events, in both content
modes.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import orjson
import pytest
from cloudevents.core.bindings import http, kafka
from cloudevents.core.bindings.kafka import KafkaMessage
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from deploy.contracts.event_types import FACTS
from deploy.contracts.files import load, sample_files
from services.intake.app import make_api
from services.intake.gateways.http import Services
from services.intake.integrations.domain import Integration
from services.intake.integrations.key_ring import KeyRing
from services.intake.signals.domain import Decision, Identity, Signal, Taken, read_signal
from shared.events.cloudevents import from_record
from shared.events.facts import event_message, read_fact
from shared.kafka.record import Record
from tests.support.http import served
from tests.unit.intake.builders import no_alerts

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SOURCE = "/werkstatt/düsseldorf 100%"

every_fact = pytest.mark.parametrize(
    "path",
    [p for p in sample_files() if p.parent.name in FACTS],
    ids=lambda path: f"{path.parent.name} {path.stem}",
)


def theirs(**attributes: Any) -> CloudEvent:
    """An alert made by the reference library, with an unusual source."""
    attributes = {
        "id": "1",
        "type": "tocsin.signals.Alert",
        "source": SOURCE,
        "time": NOON,
    } | attributes
    return CloudEvent(
        attributes | {"traceparent": TRACE}, {"summary": "disk full – db-3", "severity": "critical"}
    )


def as_record(message: KafkaMessage) -> Record:
    """Their message as read from the topic."""
    key = message.key.encode() if isinstance(message.key, str) else message.key
    return Record(
        "tocsin.signals.v1", 0, 0, NOON, key, message.value, tuple(message.headers.items())
    )


def binary(document: dict[str, Any]) -> Record:
    """A fact in binary mode, as another tool may republish it."""
    attributes = {name: value for name, value in document.items() if name != "data"}
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    return as_record(kafka.to_binary_event(CloudEvent(attributes, document["data"])))


@every_fact
def test_the_reference_library_reads_our_facts(path: Path) -> None:
    event = read_fact(Record("t", 0, 0, NOON, None, path.read_bytes()))
    assert event is not None
    message = event_message(event)
    headers = {name: value.encode() for name, value in message.headers.items()}
    read = kafka.from_kafka(KafkaMessage(headers, message.key, message.value or b""), JSONFormat())
    assert (read.get_id(), read.get_type(), read.get_subject()) == (
        event.id,
        event.type,
        str(event.subject),
    )
    assert read.get_time() == event.time
    assert read.get_extension("sequence") == f"{event.sequence:020d}"
    assert read.get_extension("traceparent") == (event.trace.traceparent if event.trace else None)
    assert read.get_data() == orjson.loads(message.value or b"")["data"]


@every_fact
def test_a_fact_reads_the_same_in_binary_mode(path: Path) -> None:
    event = read_fact(Record("t", 0, 0, NOON, None, path.read_bytes()))
    assert event is not None
    assert read_fact(binary(load(path))) == event
    assert read_fact(binary(load(path)), type(event.data)) == event, (
        "also when only this type is wanted"
    )


@pytest.mark.parametrize(
    "write", [kafka.to_structured_event, kafka.to_binary_event], ids=["structured", "binary"]
)
def test_we_read_its_kafka_messages(write: Callable[[CloudEvent], KafkaMessage]) -> None:
    signal = read_signal(from_record(as_record(write(theirs(partitionkey="db-3")))), "topic", NOON)
    check(signal, "topic")


@pytest.mark.parametrize(
    "write", [http.to_structured_event, http.to_binary_event], ids=["structured", "binary"]
)
async def test_we_read_its_http_requests(
    intake: tuple[str, list[Signal]], write: Callable[[CloudEvent], http.HTTPMessage]
) -> None:
    url, stored = intake
    message = write(theirs())
    headers = message.headers | {"Authorization": "Bearer any"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{url}/v1/signals", data=message.body, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
    check(stored[0], "probe")


async def test_we_read_a_batch_of_its_events(intake: tuple[str, list[Signal]]) -> None:
    url, stored = intake
    events = [JSONFormat().write(theirs(id=str(number))) for number in range(1, 4)]
    headers = {
        "Authorization": "Bearer any",
        "Content-Type": "application/cloudevents-batch+json; charset=UTF-8",
    }
    body = b"[" + b",".join(events) + b"]"
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{url}/v1/signals", data=body, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
    assert [signal.signal_id for signal in stored] == ["1", "2", "3"]
    check(stored[0], "probe")


@pytest.mark.parametrize(
    "write", [http.to_structured_event, http.to_binary_event], ids=["structured", "binary"]
)
async def test_we_read_its_data_in_bytes(
    intake: tuple[str, list[Signal]], write: Callable[[CloudEvent], http.HTTPMessage]
) -> None:
    url, stored = intake
    event = theirs(datacontenttype="application/json")
    data = orjson.dumps(event.get_data())
    message = write(CloudEvent(event.get_attributes(), data))
    headers = message.headers | {"Authorization": "Bearer any"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{url}/v1/signals", data=message.body, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
    check(stored[0], "probe")


async def test_a_quoted_header_is_unquoted(intake: tuple[str, list[Signal]]) -> None:
    url, stored = intake
    headers = {
        "Authorization": "Bearer any",
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-type": "tocsin.signals.Alert",
        "ce-source": '"/rack \\"7\\" %C3%A4"',
        "ce-id": '7"',
    }
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{url}/v1/signals", json={"summary": "hot"}, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
    assert (stored[0].origin, stored[0].signal_id) == ('probe /rack "7" ä', '7"')


def check(signal: Signal, integration: str) -> None:
    assert (signal.origin, signal.signal_id, signal.sent_at) == (
        f"{integration} {SOURCE}",
        "1",
        NOON,
    )
    assert signal.data.summary == "disk full – db-3"
    assert signal.trace is not None
    assert signal.trace.trace_id == TRACE[3:35]


class _AnyKey:
    async def integration(self, key: str | None, gateway: str) -> Integration | None:
        return Integration(name="probe") if key else None


@pytest.fixture
async def intake() -> AsyncIterator[tuple[str, list[Signal]]]:
    """Intake's HTTP with a list instead of a database."""
    stored: list[Signal] = []

    async def submit(_: str, signals: Sequence[Signal], __: int) -> dict[Identity, Taken]:
        stored.extend(signals)
        return {
            (signal.origin, signal.signal_id): Taken(Decision.OPENED, signal.subject)
            for signal in signals
        }

    services = Services(cast("KeyRing", _AnyKey()), submit, no_alerts, lambda: NOON)
    async with served(make_api(services)) as url:
        yield url, stored
