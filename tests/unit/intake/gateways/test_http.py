"""A gateway is its declaration: it is served, authenticated, bounded and described as it says."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import aiohttp
import orjson
import pytest
from pydantic import BaseModel

from services.intake.app import make_api
from services.intake.gateways.gateway import (
    Answer,
    Authentication,
    Body,
    Gateway,
    Route,
    Submission,
)
from services.intake.gateways.http import Services
from services.intake.integrations.domain import Integration
from services.intake.integrations.key_ring import KeyRing
from services.intake.signals.domain import AlertData, Decision, Identity, Signal, Taken
from shared.events.cloudevents import load_json
from tests.support.http import served
from tests.unit.intake.builders import NOON, no_alerts


class Beat(BaseModel):
    """What the protocol sends."""

    routing_key: str
    of: str


class Heard(BaseModel):
    """What the protocol wants to hear."""

    status: str


def read_beat(submission: Submission) -> list[Signal]:
    beat = Beat.model_validate(load_json(submission.body))
    data = AlertData(summary=f"no beat of {beat.of}", key=beat.of)
    origin = f"{submission.integration.name} beats"
    received_at = submission.received_at
    return [Signal(origin, beat.of, received_at, received_at, submission.trace, data)]


def routing_key(body: bytes) -> str | None:
    document = load_json(body)
    return document.get("routing_key") if isinstance(document, dict) else None


IN_BODY = Authentication(
    "RoutingKey",
    {"type": "apiKey", "in": "header", "name": "routing_key", "description": "in the body"},
    "put the integration key into `routing_key`",
    in_body=routing_key,
)
BEATS = Gateway(
    "beats",
    [
        Route(
            path="/v1/beats",
            summary="Beats of another system.",
            bodies=[Body("application/json", Beat, 1_000)],
            read=read_beat,
            answer=Answer(201, Heard, lambda *_: {"status": "heard"}),
        )
    ],
)


class _OneKey:
    async def integration(self, key: str | None, gateway: str) -> Integration | None:
        return Integration(name="tests") if key == "good" else None


@pytest.fixture
def stored() -> list[Signal]:
    return []


@pytest.fixture
async def base(stored: list[Signal]) -> AsyncIterator[str]:
    async def submit(
        integration: str, signals: Sequence[Signal], size: int
    ) -> Mapping[Identity, Taken]:
        assert integration == "tests"
        assert size > 0
        stored.extend(signals)
        return {one.identity: Taken(Decision.OPENED, one.subject) for one in signals}

    keyed = replace(BEATS.routes[0], path="/v1/keyed", authentication=IN_BODY)
    gateways = [BEATS, Gateway("keyed", [keyed])]
    services = Services(cast("KeyRing", _OneKey()), submit, no_alerts, lambda: NOON)
    api = make_api(services, gateways)
    async with served(api) as address:
        yield address


async def post(url: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=orjson.dumps(body), headers=headers) as answer,
    ):
        return answer.status, orjson.loads(await answer.read())


async def test_a_gateway_from_elsewhere_takes_signals(base: str, stored: list[Signal]) -> None:
    beat = {"routing_key": "", "of": "cron"}
    status, body = await post(f"{base}/v1/beats", beat, Authorization="Bearer good")
    assert (status, body) == (201, {"status": "heard"})
    assert [(one.origin, one.data.summary) for one in stored] == [
        ("tests beats", "no beat of cron")
    ]


async def test_the_key_stands_where_the_gateway_says(base: str, stored: list[Signal]) -> None:
    status, body = await post(f"{base}/v1/keyed", {"routing_key": "good", "of": "cron"})
    assert (status, body) == (201, {"status": "heard"})
    status, body = await post(f"{base}/v1/keyed", {"routing_key": "bad", "of": "cron"})
    assert (status, body["detail"]) == (
        401,
        "Authorization: put the integration key into `routing_key`",
    )
    assert (await post(f"{base}/v1/beats", {}))[0] == 401
    assert len(stored) == 1


async def test_a_body_is_bounded_as_the_gateway_says(base: str) -> None:
    large = {"routing_key": "", "of": "x" * 1_000}
    assert (await post(f"{base}/v1/beats", large, Authorization="Bearer good"))[0] == 413


def test_it_is_described_by_its_declaration() -> None:
    nothing: Any = None
    document = make_api(nothing, [BEATS]).openapi()
    operation = document["paths"]["/v1/beats"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Beat"}
    heard = operation["responses"]["201"]["content"]["application/json"]
    assert heard["schema"] == {"$ref": "#/components/schemas/Heard"}
    assert operation["summary"] == BEATS.routes[0].summary
    assert {"Beat", "Heard"} <= document["components"]["schemas"].keys()
    assert operation["security"] == [{"HTTPBearer": []}]
    assert "HTTPBearer" in document["components"]["securitySchemes"]


def test_the_metrics_of_requests_know_its_path() -> None:
    nothing: Any = None
    api = make_api(nothing, [BEATS])
    assert "/v1/beats" in {getattr(route, "path", None) for route in api.routes}
