"""Credentials are read again for each connection, and whoever is refused goes on by itself once
Kafka lets it.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from shared.events.message import OutboxMessage
from shared.kafka.access.acls import Acl, open_acls
from shared.kafka.consumption import Consumption
from shared.kafka.publisher import Publisher, Result
from shared.kafka.security import PLAINTEXT, Security
from shared.runtime.gauges import known
from tests.support.certificates import Certificate, authority, self_signed
from tests.support.consuming import SERVICE, TOPIC, Diary, has_problem, make_topic, publish, things
from tests.support.running import eventually, free_port
from tests.support.secured_kafka import ROTATING, STRANGER, SecuredKafka, allow, password_of

_TOPIC, _GROUP, _LITERAL, _READ, _WRITE = 2, 3, 3, 3, 4


async def degraded(service: Consumption, words: str) -> bool:
    return any(words in reason for reason in service.degraded())


@pytest.mark.parametrize("kind", ["password", "token", "CA"])
async def test_a_file_that_was_corrected_counts_for_the_next_connection(
    broker: SecuredKafka, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    security = broker.security(STRANGER)
    security, wrong, right = {
        "password": (replace(security, password=file), "wrong", password_of(STRANGER)),
        "token": (
            replace(security, mechanism="OAUTHBEARER", token_file=file),
            broker.issuer.token(STRANGER, -60),
            broker.issuer.token(STRANGER),
        ),
        "CA": (
            replace(security, ca_file=file),
            authority(tmp_path / "other").path.read_text(),
            broker.ca.path.read_text(),
        ),
    }[kind]
    client = AIOKafkaAdminClient(bootstrap_servers=broker.secured, **security.options())
    try:
        file.write_text(wrong)
        with pytest.raises(KafkaConnectionError):
            await client.start()
        file.write_text(f"{right}\n")
        await client.start()
        assert security.principal == f"User:{STRANGER}"
    finally:
        await client.close()


async def test_a_password_that_is_rotated_stops_neither_reading_nor_publishing(
    broker: SecuredKafka, topic_prefix: str, diary: Diary, tmp_path: Path
) -> None:
    """The broker ends connections after a second, so all have to log in again and again."""
    file, topic = tmp_path / "password", topic_prefix + TOPIC
    file.write_text(password_of(ROTATING))
    security = replace(broker.security(ROTATING, "SCRAM-SHA-256"), password=file)
    user = f"User:{ROTATING}"
    await make_topic(broker.bootstrap, topic)
    await allow(
        broker,
        *(Acl(_TOPIC, topic, _LITERAL, user, operation) for operation in (_READ, _WRITE)),
        Acl(_GROUP, topic_prefix + SERVICE, _LITERAL, user, _READ),
    )
    publisher = Publisher(broker.secured, "test", topic_prefix, security=security)
    async with diary.service(broker.secured, topic_prefix, security=security) as service:
        await eventually("the publisher starts", lambda: _started(publisher))
        await _published(publisher, b"1")
        await diary.reaches(1)

        changed = ROTATING, "the second password", security.mechanism
        await asyncio.to_thread(broker.set_password, *changed)
        refused = f"the broker refused the password of {user} (SCRAM-SHA-256)"
        await eventually("the old one is refused", lambda: degraded(service, refused))
        assert service.problems() == []
        file.write_text("the second password")
        await _published(publisher, b"2")
        await diary.reaches(2)
        await eventually("nothing is refused", lambda: _is_empty(service.degraded))
        assert await diary.values() == [b"1", b"2"]
    await publisher.stop()


async def _started(publisher: Publisher) -> bool:
    await publisher.start()
    return True


async def _published(publisher: Publisher, value: bytes) -> None:
    report = await publisher.publish([OutboxMessage(TOPIC, b"key", value, {})])
    assert (list(report.results), report.error) == ([Result.SENT], None)


async def _is_empty(said: Callable[[], list[str]]) -> bool:
    return not said()


async def test_a_service_that_is_refused_says_so_and_goes_on_once_it_is_allowed(
    broker: SecuredKafka, topic_prefix: str, diary: Diary, tmp_path: Path
) -> None:
    file, topic, user = tmp_path / "password", topic_prefix + TOPIC, f"User:{STRANGER}"
    file.write_text("wrong")
    security = replace(broker.security(STRANGER), password=file)
    read_topic = Acl(_TOPIC, topic, _LITERAL, user, _READ)
    await make_topic(broker.bootstrap, topic)
    await publish(broker.bootstrap, topic, things(3))
    async with diary.service(broker.secured, topic_prefix, security=security) as service:

        def says(words: str) -> Callable[[], Awaitable[bool]]:
            return lambda: has_problem(service, words)

        await eventually("the password", says(f"refused the password of {user}"))
        file.write_text(password_of(STRANGER))
        await eventually("the topic", says(f"{user} has no access to topic {topic}: see"))
        await allow(broker, read_topic)
        group = topic_prefix + SERVICE
        await eventually("the group", says(f"{user} has no access to group {group}: see"))
        await allow(broker, Acl(_GROUP, group, _LITERAL, user, _READ))
        await diary.reaches(3)

        async with open_acls(broker.bootstrap, PLAINTEXT) as acls:
            await acls.remove([read_topic])
        await publish(broker.bootstrap, topic, things(3, start=3))
        await eventually("a poll", says(f"polls fail ({user} has no access to topic {topic}"))
        await allow(broker, read_topic)
        await diary.reaches(6)
        await eventually("no problem", lambda: _is_empty(service.problems))
    assert await diary.wrong(things(6)) == {}


async def test_a_service_that_goes_on_without_kafka_is_told_as_degraded(
    topic_prefix: str, diary: Diary
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with diary.service(nowhere, topic_prefix, kafka_required=False) as service:
        reason = f"not connected to Kafka ({nowhere}: no broker answers"
        await eventually("it says so", lambda: degraded(service, reason))
        assert service.problems() == []
        states = {level.values: level.value for level in known({"consumption": service})}
        assert states[("consumption", "degraded")] == 1, "an alert rule looks at it"
        assert states[("consumption", "problem")] == 0


@contextmanager
def silent_peer(certificate: Certificate) -> Iterator[int]:
    """Port of a TLS server that reads nothing after the handshake, not even a good-bye."""
    done = threading.Event()

    def serve() -> None:
        with listener.accept()[0] as raw:
            tls = certificate.server_context().wrap_socket(raw, server_side=True)
            done.wait()
            tls.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_peer_that_does_not_say_good_bye_holds_up_no_stop(
    tmp_path: Path, run: Callable[..., None]
) -> None:
    certificate = self_signed(tmp_path)
    context = Security("SSL", certificate.path).options()["ssl_context"]

    async def connect_and_close(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        async with asyncio.timeout(20):  # the loops themselves would wait for 30 s
            writer.close()
            await writer.wait_closed()

    with silent_peer(certificate) as port:
        run(connect_and_close(port))


def test_who_one_is_without_credentials() -> None:
    assert PLAINTEXT.principal == Security("SSL").principal == "User:ANONYMOUS"
    assert PLAINTEXT.options() == {"security_protocol": "PLAINTEXT"}
