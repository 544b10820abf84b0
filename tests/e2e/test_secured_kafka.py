"""A whole Tocsin on a secured Kafka, each service with a principal of its own: what is named may
happen, and nobody else may order anything.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import TopicAuthorizationFailedError

from shared.events import commands, reporting
from shared.kafka.access.acls import acl_of
from shared.kafka.access.declarations import declared_topics
from shared.kafka.access.grants import all_grants
from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import SIGNALS
from tests.support.policies import policy_files
from tests.support.reading import reading
from tests.support.running import Receiver, Running, Truth, alert, eventually, prepared
from tests.support.secured_kafka import (
    ADMIN,
    STRANGER,
    SecuredKafka,
    allow,
    names_of_roles,
    password_of,
)


@pytest.fixture
async def tocsin(
    broker: SecuredKafka, database: str, topic_prefix: str, tmp_path: Path, pages: Receiver
) -> AsyncIterator[Running]:
    """The four services, after the commands that prepare a cluster."""
    for user in (ADMIN, *names_of_roles()):
        (tmp_path / user).write_text(f"{password_of(user)}\n")
    environment = {
        "TOCSIN_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "TOCSIN_KAFKA_CA_FILE": str(broker.ca.path),
        "TOCSIN_KAFKA_PASSWORD_FILE": f"{tmp_path}/tocsin-{{role}}",
    }
    policy = policy_files(pages.url, '{targets: ["user:anastasia"], wait: 1m}')
    async with prepared(
        broker.secured, database, topic_prefix, tmp_path, policy, **environment
    ) as stack:
        admin = {
            "TOCSIN_KAFKA_USERNAME": ADMIN,
            "TOCSIN_KAFKA_PASSWORD_FILE": str(tmp_path / ADMIN),
        }
        said = await command(stack, "acls", "apply", **admin)
        assert f"User:tocsin-intake Read topic {topic_prefix}{SIGNALS}: added" in said
        assert "created" in await command(stack, "topics", "apply", "--replication", "1")
        await stack.start_all()
        yield stack


async def command(stack: Running, *words: str, **environment: str) -> str:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(
        stack.version.tocsin,
        *words,
        cwd=stack.version.folder,
        env=stack.environment | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    return output


async def send(broker: SecuredKafka, user: str, topic: str, event: dict[str, Any]) -> None:
    """Send an event as a user, whom the broker may refuse."""
    options = {"bootstrap_servers": broker.secured, **broker.security(user).options()}
    async with AIOKafkaProducer(**options) as producer:
        key = str(event.get("subject", "")).encode()
        await producer.send_and_wait(topic, orjson.dumps(event), key=key)


def resolve(incident: str, by: str) -> dict[str, Any]:
    """A command."""
    return {
        "specversion": "1.0",
        "id": f"resolve by {by}",
        "source": "/chat",
        "type": commands.ResolveIncident.type,
        "subject": incident,
        "data": {"incident_id": incident, "by": by},
    }


async def test_a_signal_becomes_a_page_and_only_who_is_named_may_resolve_its_incident(
    tocsin: Running, broker: SecuredKafka, topic_prefix: str, pages: Receiver
) -> None:
    await send(broker, "tocsin-publisher", topic_prefix + SIGNALS, alert("1", "disk"))
    [page] = await eventually("anastasia is paged", lambda: asyncio.sleep(0, pages.received))
    incident = page.body["data"]["incident_id"]

    orders = topic_prefix + commands.TOPIC
    for user in (STRANGER, "tocsin-publisher", "tocsin-intake", "tocsin-escalation"):
        with pytest.raises(TopicAuthorizationFailedError):
            await send(broker, user, orders, resolve(incident, "ana"))
    await send(broker, "tocsin-responder", orders, resolve(incident, "benedict"))

    async def resolved() -> Any:
        found = await tocsin.incident(incident)
        return found if found and found["status"] == "resolved" else None

    report = await eventually("reporting shows the resolution", resolved)
    assert report["resolved_by"] == "benedict"

    async with reading(broker.bootstrap, topic_prefix + reporting.TOPIC) as reader:
        await reader.until("the state is published, behind a fence", lambda records: bool(records))
    async with reading(broker.bootstrap, orders) as reader:
        await reader.until("the command that was let in", lambda records: bool(records))
        assert [orjson.loads(record.value)["data"]["by"] for record in reader.records] == [
            "benedict"
        ]

    await services_read_what_they_declare(broker, topic_prefix)


async def services_read_what_they_declare(broker: SecuredKafka, prefix: str) -> None:
    """The subscriptions of the consumer groups are those that the services declare."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        for declared in declared_topics():
            subscribed = await subscription(admin, prefix + declared.service)
            assert subscribed == {prefix + topic for topic in declared.topics_in}, declared.service
    finally:
        await admin.close()


async def subscription(admin: AIOKafkaAdminClient, group: str) -> set[str]:
    """Topics that the one member of a group subscribes to."""
    [answer] = await admin.describe_consumer_groups([group])
    [found] = answer.groups
    [member] = found[5]
    return set(ConsumerProtocolMemberMetadata.decode(io.BytesIO(member[3])).subscription)


async def test_a_service_with_an_expired_token_says_so_and_starts_once_it_is_replaced(
    broker: SecuredKafka, database: str, topic_prefix: str, tmp_path: Path
) -> None:
    token = tmp_path / "tocsin-triage"
    token.write_text(broker.issuer.token("tocsin-triage", -60))
    environment = {
        "TOCSIN_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "TOCSIN_KAFKA_CA_FILE": str(broker.ca.path),
        "TOCSIN_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "TOCSIN_KAFKA_TOKEN_FILE": f"{tmp_path}/tocsin-{{role}}",
    }
    await apply_topics(broker.bootstrap, topic_prefix, replication=1)
    granted = [grant for grant in all_grants(topic_prefix) if grant.role == "triage"]
    await allow(broker, *(acl_of(grant, "User:tocsin-triage") for grant in granted))
    policy = policy_files("http://127.0.0.1")
    async with prepared(
        broker.secured, database, topic_prefix, tmp_path, policy, **environment
    ) as stack:
        await stack.start("triage")

        async def refused() -> Truth:
            with suppress(aiohttp.ClientError):
                async with stack.http.get(stack.probe("triage", "/readyz")) as answer:
                    said, reason = await answer.text(), "refused the token of User:tocsin-triage"
                    return Truth(answer.status == 503 and reason in said, said)
            return Truth(False, "no answer")

        await eventually("it is not ready, and says why", refused)
        token.write_text(broker.issuer.token("tocsin-triage"))
        await stack.ready("triage")
