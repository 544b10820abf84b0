"""A secret in a policy file is a reference to a variable; a literal one is refused unrepeated."""

from collections.abc import Iterator

import pytest

from shared.policy.files import Finding, InvalidPolicy, PolicyModel, read_policy
from shared.policy.secrets import (
    WrittenRule,
    literal_secret_in,
    must_be_reference,
    no_literal_secret,
)

UUID = "0b54a1f8-3f7b-4e3e-9f6c-7d3a8b1c2d4e"
WORDS = "https://hooks.example/incident-notifications-2024/v2/on-call-primary"
LITERAL = [
    "https://ana:hunter2@hooks.example/",
    "https://hunter2@hooks.example/",
    "https://${TOCSIN_USER}:hunter2@hooks.example/",
    "https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/ZZZZZZZZZZZZZZZZZZZZZZZZ",
    "https://discord.example/api/webhooks/123456789012345678/aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeF",
    "https://api.telegram.org/bot123456789:AAF-3dkKQ9yxW8c2mGn0/sendMessage",
    f"https://hooks.example/{UUID}",
    f"https://hooks.example/webhookb2/{UUID}@{UUID}/IncomingWebhook/x",
    "https://hooks.example/?token=x",
    "https://hooks.example/?api_key=short",
    "https://hooks.example/?access-token=hunter2&room=${TOCSIN_ROOM}",
    "https://hooks.example/?sig=hunter2",
    "https://hooks.example/?k3yq8w2vn5x7z1",
    "https://hooks.example/#3f786850e387550fdab836ed7e6dc881de23001b",
    "https://hooks.example/%33f786850e387550fdab836ed7e6dc881de23001b",
    "https://hunter2${TOCSIN_EMPTY}@hooks.example/",
    "https://hooks.example/${TOCSIN_EMPTY}3f786850e387550fdab836ed7e6dc881de23001b",
    "https://hooks.example/?token=${TOCSIN_EMPTY}hunter2",
    "https://${TOCSIN_HOST}/3f786850e387550fdab836ed7e6dc881de23001b",
]
ALLOWED = [
    "https://hooks.example",
    WORDS,
    "http://127.0.0.1:8085/pages/ana",
    "${TOCSIN_INBOX_URL}/pages/ana",
    "https://hooks.example/${TOCSIN_TOKEN}",
    "https://hooks.example/services/${TOCSIN_TEAM}/${TOCSIN_TOKEN}",
    "https://api.telegram.org/bot${TOCSIN_BOT}/sendMessage",
    "https://${TOCSIN_USER}:${TOCSIN_PASSWORD}@hooks.example/",
    "https://hooks.example/?token=${TOCSIN_TOKEN}&room=ops",
    "https://hooks.example/?room=operations&priority=1",
    "https://datacenter12.example/kubernetes1234/",
    "not an address",
    "http://[::1",
]


@pytest.mark.parametrize("address", LITERAL)
def test_a_literal_secret_in_an_address_is_found(address: str) -> None:
    assert literal_secret_in(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_an_address_without_one_may_be_written_out(address: str) -> None:
    assert literal_secret_in(address) is None


class Door(PolicyModel):
    webhook: str = ""
    token: str | None = None


class Doors(PolicyModel):
    doors: dict[str, Door]


def _findings(doors: Doors) -> Iterator[Finding | WrittenRule]:
    for name in doors.doors:
        yield no_literal_secret(("doors", name, "webhook"))
        yield must_be_reference(("doors", name, "token"))


def errors_of(text: str, **environment: str) -> list[str]:
    try:
        read_policy("doors.yaml", text.encode(), Doors, _findings, environment)
    except InvalidPolicy as invalid:
        return [str(error) for error in invalid.errors]
    return []


def test_a_literal_secret_is_refused_with_its_line_and_what_to_do() -> None:
    errors = errors_of(
        "doors:\n  front:\n    webhook: https://x.example/?token=hunter2\n    token: hunter2\n"
    )
    hint = "put it into a variable whose name begins with TOCSIN_, and write ${TOCSIN_...} here"
    assert errors == [
        "doors.yaml:3: `doors.front.webhook`: the query holds what appears to be a literal token; "
        + hint,
        f"doors.yaml:4: `doors.front.token`: a secret must not be written into the file; {hint}",
    ]


def test_a_reference_is_taken_whatever_its_value_is() -> None:
    text = "doors:\n  front: {webhook: '${TOCSIN_A}', token: '${TOCSIN_B}'}\n  back: {}\n"
    assert errors_of(text, TOCSIN_A=LITERAL[0], TOCSIN_B="hunter2") == []


def test_half_a_reference_does_not_hide_a_secret() -> None:
    text = "doors:\n  front: {token: 'hunter2${TOCSIN_B}'}\n"
    assert len(errors_of(text, TOCSIN_B="")) == 1


def test_an_alias_is_followed() -> None:
    text = "doors:\n  front: &one {token: hunter2}\n  back: *one\n"
    named = [error.split(": ")[1] for error in errors_of(text)]
    assert named == ["`doors.front.token`", "`doors.back.token`"]
