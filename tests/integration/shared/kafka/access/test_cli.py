"""`tocsin acls`, and what other commands say to those whom an authorizer refuses."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
import typer
from typer.testing import CliRunner

from shared.kafka.access.acls import Acl, open_acls
from shared.kafka.diagnosis import KafkaRefusal
from shared.kafka.security import PLAINTEXT
from shared.kafka.topics import TOPICS
from shared.runtime.cli import build
from tests.support.running import eventually
from tests.support.secured_kafka import ADMIN, STRANGER, SecuredKafka, password_of

Tocsin = Callable[..., Awaitable[str]]


@pytest.fixture
def tocsin(broker: SecuredKafka, topic_prefix: str) -> Tocsin:
    """Runs `tocsin ...` as a user; returns what it prints, or what it fails with."""

    async def run(*words: str, user: str = ADMIN) -> str:
        environment = {
            "TOCSIN_KAFKA": broker.secured,
            "TOCSIN_TOPIC_PREFIX": topic_prefix,
            "TOCSIN_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "TOCSIN_KAFKA_CA_FILE": str(broker.ca.path),
            "TOCSIN_KAFKA_USERNAME": user,
            "TOCSIN_KAFKA_PASSWORD": password_of(user),
        }
        done = await asyncio.to_thread(CliRunner().invoke, build(), words, env=environment)
        assert password_of(user) not in done.output
        return done.output if done.exception is None else f"{done.output}{done.exception}"

    return run


async def test_apply_adds_what_is_missing_and_names_what_is_not_declared(
    tocsin: Tocsin, broker: SecuredKafka, topic_prefix: str
) -> None:
    commands = topic_prefix + "tocsin.commands.v1"
    first = (await tocsin("acls", "apply", "--also", "publisher=billing")).splitlines()
    assert f"User:tocsin-responder Write topic {commands}: added" in first
    assert f"User:billing Write topic {topic_prefix}tocsin.signals.v1: added" in first
    assert f"User:tocsin-reader Read group {topic_prefix}tocsin.reader*: added" in first
    assert all(line.endswith(": added") for line in first)

    undeclared = Acl(2, commands, 3, "User:old-bot", 4)
    wider = Acl(2, topic_prefix, 4, f"User:{STRANGER}", 2)
    async with open_acls(broker.bootstrap, PLAINTEXT) as acls:
        await acls.add([undeclared, wider])

        async def in_force() -> bool:
            return not (await acls.compare([undeclared, wider])).missing

        await eventually("the broker has the ACLs", in_force)
    again = ("acls", "apply", "--also", "publisher=billing")
    named = [
        f"User:old-bot Write topic {commands}: not declared",
        f"User:{STRANGER} All topic {topic_prefix}*: not declared",
    ]
    assert sorted((await tocsin(*again)).splitlines()) == sorted(named)
    named[0] += ", removed"
    assert sorted((await tocsin(*again, "--prune")).splitlines()) == sorted(named)
    async with open_acls(broker.bootstrap, PLAINTEXT) as acls:
        await acls.remove([wider])

    async def settled() -> bool:
        return await tocsin(*again) == "all ACLs are as they should be\n"

    await eventually("nothing differs", settled)


async def test_where_a_service_is_missing_nothing_is_applied(
    tocsin: Tocsin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.access.cli.missing_services", lambda: ["triage"])
    assert "not installed here: triage" in await tocsin("acls", "apply", "--prune")


async def test_commands_of_a_stranger_say_what_is_missing(
    tocsin: Tocsin, topic_prefix: str
) -> None:
    topic = f"User:{STRANGER} has no access to topic {topic_prefix}tocsin."
    for words in ("topics", "apply"), ("dead-letters", "list"):
        assert topic in await tocsin(*words, user=STRANGER), words
    said = await tocsin("acls", "apply", user=STRANGER)
    assert f"User:{STRANGER} may not see or change ACLs" in said


async def test_roles_of_commands_may_do_what_the_commands_need(
    tocsin: Tocsin, broker: SecuredKafka, topic_prefix: str
) -> None:
    await tocsin("acls", "apply")

    async def created() -> bool:
        apply = "topics", "apply", "--replication", "1"
        return (await tocsin(*apply, user="tocsin-provisioner")).count(": created") == len(TOPICS)

    await eventually("the ACLs are in force", created)
    again = await tocsin("topics", "apply", user="tocsin-provisioner")
    assert again == "all topics are as they should be\n"
    seen = await tocsin("doctor", "--service", "triage", user="tocsin-provisioner")
    assert f"1 brokers, {len(TOPICS)} topics" in seen
    assert "problem  kafka" not in seen
    assert f"kafka ({broker.secured})" in seen, "its certificate, which expires tomorrow"
    assert "no dead letters" in await tocsin("dead-letters", "list", user="tocsin-operator")


async def test_a_broker_without_an_authorizer_is_said(kafka: str) -> None:
    with pytest.raises(KafkaRefusal, match=re.escape("authorizer.class.name")):
        async with open_acls(kafka, PLAINTEXT) as acls:
            await acls.compare([Acl(2, "topic", 3, "User:anybody", 3)])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--principal", "one"), "must have {role} in it"),
        (("--also", "billing"), "must be ROLE=NAME"),
        (("--also", "king=ana"), "publisher, responder, reader"),
    ],
)
def test_wrong_names_are_refused(options: tuple[str, str], reason: str) -> None:
    done = CliRunner().invoke(build("acls"), ["acls", "list", *options], env={"COLUMNS": "200"})
    assert done.exit_code == typer.BadParameter.exit_code
    assert reason in done.output
