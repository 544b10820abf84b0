"""Whoever Kafka refuses is told why, with the setting or the grant that would help."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.kafka.access.declarations import outbox_fence
from shared.kafka.diagnosis import KafkaRefusal, explained
from shared.kafka.provisioning import apply_topics
from shared.kafka.publisher import Publisher
from shared.kafka.security import PLAINTEXT, Security
from tests.support.certificates import authority
from tests.support.running import free_port
from tests.support.secured_kafka import ADMIN, STRANGER, SecuredKafka

Change = Callable[[Security, SecuredKafka, Path], Security]


def _file(folder: Path, text: str) -> Path:
    (folder / "file").write_text(text)
    return folder / "file"


def _token(security: Security, broker: SecuredKafka, folder: Path, token: str) -> Security:
    return replace(security, mechanism="OAUTHBEARER", token_file=_file(folder, token))


CASES: dict[str, tuple[Change, str]] = {
    "wrong password": (
        lambda s, b, f: replace(s, password="wrong"),
        "the broker refused the password of User:admin (SCRAM-SHA-512): check "
        "TOCSIN_KAFKA_USERNAME and TOCSIN_KAFKA_PASSWORD or TOCSIN_KAFKA_PASSWORD_FILE",
    ),
    "unknown user": (
        lambda s, b, f: replace(s, username="nobody"),
        "the broker refused the password of User:nobody",
    ),
    "no password file": (
        lambda s, b, f: replace(s, password=f / "none"),
        "TOCSIN_KAFKA_PASSWORD_FILE: {folder}/none: No such file or directory",
    ),
    "empty password file": (
        lambda s, b, f: replace(s, password=_file(f, "\n")),
        "TOCSIN_KAFKA_PASSWORD_FILE: {folder}/file: is empty",
    ),
    "untrusted CA": (
        lambda s, b, f: replace(s, ca_file=authority(f / "other").path),
        "the broker's certificate is not trusted (unable to get local issuer certificate): set "
        "TOCSIN_KAFKA_CA_FILE",
    ),
    "the system's CAs": (lambda s, b, f: replace(s, ca_file=None), "set TOCSIN_KAFKA_CA_FILE"),
    "no CA file": (
        lambda s, b, f: replace(s, ca_file=f / "none"),
        "TOCSIN_KAFKA_CA_FILE: {folder}/none: No such file or directory",
    ),
    "a CA file without certificates": (
        lambda s, b, f: replace(s, ca_file=_file(f, "none")),
        "TOCSIN_KAFKA_CA_FILE: {folder}/file: ",
    ),
    "expired token": (
        lambda s, b, f: _token(s, b, f, b.issuer.token("tocsin-intake", -60)),
        "the broker refused the token of User:tocsin-intake: see that the token in "
        "TOCSIN_KAFKA_TOKEN_FILE has not expired",
    ),
    "no token at all": (
        lambda s, b, f: _token(s, b, f, "garbage"),
        "the broker refused the token of User:(unknown)",
    ),
    "a mechanism that is not offered": (
        lambda s, b, f: replace(s, mechanism="PLAIN"),  # type: ignore[arg-type]
        "set TOCSIN_KAFKA_SASL_MECHANISM",
    ),
    "no TLS": (
        lambda s, b, f: PLAINTEXT,
        "the listener does not speak PLAINTEXT: check the port in TOCSIN_KAFKA and "
        "TOCSIN_KAFKA_SECURITY_PROTOCOL",
    ),
    "no SASL": (lambda s, b, f: replace(s, protocol="SSL"), "the listener does not speak SSL"),
    "SASL without TLS": (
        lambda s, b, f: replace(s, protocol="SASL_PLAINTEXT"),
        "the listener does not speak SASL_PLAINTEXT",
    ),
}


async def _refused(bootstrap: str, security: Security) -> KafkaRefusal:
    with pytest.raises(KafkaRefusal) as caught:
        await apply_topics(bootstrap, security=security)
    return caught.value


@pytest.mark.parametrize("case", CASES)
async def test_who_cannot_connect_is_told_the_setting(
    broker: SecuredKafka, tmp_path: Path, case: str
) -> None:
    change, reason = CASES[case]
    security = change(broker.security(ADMIN), broker, tmp_path)
    refusal = await _refused(broker.secured, security)
    expected = f"{broker.secured}: {reason.format(folder=tmp_path)}"
    assert str(refusal).startswith(expected) or reason in str(refusal), str(refusal)
    assert "password of admin" not in str(refusal)
    assert not refusal.away


async def test_a_listener_in_plain_text_and_a_wrong_name_are_told(broker: SecuredKafka) -> None:
    security = broker.security(ADMIN)
    plain = await _refused(broker.bootstrap, security)
    assert "the listener does not speak SASL_SSL" in str(plain)
    plain = await _refused(broker.bootstrap, replace(security, protocol="SASL_PLAINTEXT"))
    assert "the listener does not speak SASL_PLAINTEXT" in str(plain)
    named = await _refused(broker.secured.replace("127.0.0.1", "localhost"), security)
    assert "the broker's certificate is for another name" in str(named)
    assert "localhost" in str(named)
    assert "advertised.listeners" in str(named)


async def test_a_fence_without_a_grant_is_told(broker: SecuredKafka, topic_prefix: str) -> None:
    fence, stranger = outbox_fence(topic_prefix, "reporting"), broker.security(STRANGER)
    publisher = Publisher(broker.secured, "test", topic_prefix, fence, security=stranger)
    with pytest.raises(KafkaRefusal) as caught:
        async with explained(broker.secured, stranger):
            await publisher.start()
    await publisher.stop()
    assert f"User:{STRANGER} has no access to transactional id {fence}: see" in str(caught.value)


async def test_a_broker_that_is_away_is_told_as_away(broker: SecuredKafka) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    away = await _refused(nowhere, broker.security(ADMIN))
    assert away.away
    assert str(away).startswith(f"{nowhere}: no broker answers")
    both = await _refused(
        f"{nowhere},{broker.secured}", replace(broker.security(ADMIN), password="wrong")
    )
    assert not both.away, "a refusal says more"
