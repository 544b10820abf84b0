"""Mapped webhooks over HTTP: keys, signatures, answers, and twenty bodies that cannot be read."""

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.gateways.domain.mapping import Received, signals_in
from services.intake.gateways.policy import Signer, shipped
from shared.events.malformed import Malformed
from tests.unit.intake.builders import NOON
from tests.unit.intake.gateways import senders
from tests.unit.intake.gateways.senders import FIRING_AND_OVER, NEVER_OVER
from tests.unit.intake.gateways.serving import KEY, Served
from tests.unit.intake.gateways.strategies import ANYTHING

BODY, _ = senders.datadog("Triggered")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/v1/mapped/datadog/{KEY}", {}),
        (f"/v1/mapped/datadog/{KEY}/", {}),
        ("/v1/mapped/datadog", {"Authorization": f"Bearer {KEY}"}),
        (
            "/v1/mapped/datadog",
            {"Authorization": "Basic " + base64.b64encode(f"any:{KEY}".encode()).decode()},
        ),
        ("/v1/mapped/gitlab", {"X-Gitlab-Token": KEY}),
        ("/v1/mapped/eventbridge", {"X-Api-Key": KEY}),
    ],
)
async def test_the_key_stands_where_the_sender_can_put_it(
    api: Served, path: str, headers: dict[str, str]
) -> None:
    body = BODY if "datadog" in path else {"object_kind": "push"}
    status, answer = await api.send(path, body, headers)
    assert (status, answer) == (200, {"accepted": len(api.stored)})


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/mapped/datadog/bad", {}),
        ("/v1/mapped/datadog", {}),
        ("/v1/mapped/datadog", {"X-Gitlab-Token": KEY}),
        ("/v1/mapped/datadog", {"Authorization": "Basic ???"}),
        ("/v1/mapped/no-such-mapping/bad", {}),
        ("/v1/mapped/gitlab", {"X-Gitlab-Token": "bad"}),
    ],
)
async def test_without_a_key_nothing_is_read(
    api: Served, path: str, headers: dict[str, str]
) -> None:
    status, _ = await api.send(path, BODY, headers)
    assert (status, api.stored) == (401, [])


async def test_a_mapping_that_is_not_there_is_named_like_the_one_that_was_meant(
    api: Served,
) -> None:
    status, answer = await api.send(f"/v1/mapped/datdog/{KEY}", BODY)
    assert (status, answer["field"]) == (404, "path")
    assert "did you mean `datadog`?" in answer["detail"]


async def test_a_sender_comes_back_when_too_much_waits(api: Served) -> None:
    api.full = True
    status, _ = await api.send(f"/v1/mapped/datadog/{KEY}", BODY)
    assert status == 503


async def test_a_large_body_is_read_beside_others(api: Served) -> None:
    large = BODY | {"body": "x" * 1_000_000}
    answers = await asyncio.gather(
        api.send(f"/v1/mapped/datadog/{KEY}", large), api.send(f"/v1/mapped/datadog/{KEY}", BODY)
    )
    assert [status for status, _ in answers] == [200, 200]
    status, _ = await api.send(f"/v1/mapped/datadog/{KEY}", BODY | {"body": "x" * 3_000_000})
    assert status == 413


SECRET = "It's a Secret to Everybody"


def github_signature(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


class TestSignatures:
    """Where an integration has a secret, what is not signed with it is refused."""

    async def test_a_signed_body_is_taken_under_either_secret(self, api: Served) -> None:
        # The example of GitHub's documentation.
        documented = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        assert github_signature(b"Hello, World!")["X-Hub-Signature-256"].endswith(documented)
        body, headers = senders.workflow("failure")
        data = orjson.dumps(body)
        api.signers = {"tests": Signer(secret="new", previous=SECRET)}
        for secret in (SECRET, "new"):
            signed = headers | github_signature(data, secret)
            assert (await api.send(f"/v1/mapped/github/{KEY}", data, signed))[0] == 200
        assert len(api.stored) == 2

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Hub-Signature-256": ""},
            {"X-Hub-Signature-256": "sha256=00"},
            {"X-Hub-Signature-256": hashlib.sha256(b"{}").hexdigest()},
            github_signature(b"{}", "another secret"),
            github_signature(b"another body"),
            {"X-Hub-Signature": "sha1=" + hmac.digest(SECRET.encode(), b"{}", "sha1").hex()},
        ],
    )
    async def test_any_other_is_refused_by_the_header(
        self, api: Served, headers: dict[str, str]
    ) -> None:
        api.signers = {"tests": Signer(secret=SECRET)}
        status, answer = await api.send(f"/v1/mapped/github/{KEY}", b"{}", headers)
        assert (status, answer["field"], api.stored) == (401, "X-Hub-Signature-256", [])

    async def test_a_secret_that_nothing_checks_is_not_passed_over(self, api: Served) -> None:
        api.signers = {"tests": Signer(secret=SECRET)}
        status, answer = await api.send(f"/v1/mapped/datadog/{KEY}", BODY)
        assert status == 401
        assert "signatures.yaml" in answer["detail"]


DEEP = b'{"a":' * 100 + b"1" + b"}" * 100

MALFORMED = [
    ("datadog", b"", "body"),
    ("datadog", b"not json", "body"),
    ("datadog", b"{", "body"),
    ("datadog", b'{"alert_id": 1,}', "body"),
    ("datadog", b"\xff\xfe", "body"),
    ("datadog", DEEP, "a.a.a.a"),
    ("datadog", b"null", "body"),
    ("datadog", b"7", "body"),
    ("datadog", b'"text"', "body"),
    ("datadog", b"[]", "body"),
    ("datadog", b"{}", "body"),
    ("datadog", b"title=CPU&alert_id=1", "body"),
    ("zabbix", b'{"some": "thing"}', "body"),
    ("uptime-kuma", b'{"heartbeat": null, "monitor": null}', "body"),
    ("google-cloud-monitoring", b'{"version": "1.2"}', "body"),
    ("google-cloud-monitoring", b'{"incident": {"state": "open"}}', "body"),
    ("azure-monitor", b'{"schemaId": "AzureMonitorMetricAlert", "data": {}}', "body"),
    ("new-relic", b'{"state": "ACTIVATED"}', "body"),
    ("cloudwatch", b'{"NewStateValue": "ALARM"}', "body"),
    ("librenms", b'{"state": 1, "severity": "critical"}', "body"),
    ("falco", b'{"priority": "Notice"}', "body"),
    ("checkmk", b'{"NOTIFICATIONTYPE": "PROBLEM"}', "body"),
]


@pytest.mark.parametrize(("name", "body", "field"), MALFORMED)
async def test_a_body_that_cannot_be_read_is_refused_by_its_field(
    api: Served, name: str, body: bytes, field: str
) -> None:
    status, answer = await api.send(f"/v1/mapped/{name}/{KEY}", body)
    assert (status, answer["field"], api.stored) == (400, field, [])


def test_the_refusal_says_what_is_looked_for() -> None:
    with pytest.raises(Malformed) as refused:
        read("google-cloud-monitoring", {"incident": {}})
    assert "google-cloud-monitoring" in str(refused.value)
    with pytest.raises(Malformed) as refused:
        read("new-relic", {})
    assert "body.id || body.issueId and body.title are empty" in str(refused.value)


def read(name: str, body: Any) -> list[Any]:
    mapping = shipped().mappings[name]
    return signals_in(name, mapping, Received("tests", body, [], {}, NOON))


NAMES = sorted(shipped().mappings)


@given(st.sampled_from(NAMES), st.data())
@settings(deadline=None)
def test_no_body_makes_a_mapping_fail(name: str, data: st.DataObject) -> None:
    """Documented bodies, any part of which is anything: signals within bounds, or Malformed."""
    samples = [one for pair in FIRING_AND_OVER.get(name, []) for one in pair]
    body, headers = data.draw(st.sampled_from(samples or NEVER_OVER[name]))
    changed = replaced(body, data)
    sent = [(key, value.encode()) for key, value in headers.items()]
    try:
        signals = signals_in(
            name, shipped().mappings[name], Received("tests", changed, sent, {}, NOON)
        )
    except Malformed:
        return
    for signal in signals:
        assert signal.data.summary.strip()
        assert len(orjson.dumps(signal.data.model_dump(mode="json"))) < 300_000


def replaced(value: Any, data: st.DataObject) -> Any:
    if data.draw(st.integers(0, 7)) == 0:
        return data.draw(ANYTHING)
    if isinstance(value, dict):
        return {key: replaced(one, data) for key, one in value.items()}
    return [replaced(one, data) for one in value] if isinstance(value, list) else value
