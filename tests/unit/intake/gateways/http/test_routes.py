"""Keys in other places than a header, what of them is ever seen, and what a sender is told when
there is too much.
"""

import base64
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import aiohttp
import orjson
import pytest
from starlette.applications import Starlette

from services.intake.app import make_api
from services.intake.gateways.gateway import (
    BEARER_OR_BASIC,
    IN_PATH,
    Answer,
    Authentication,
    Body,
    Gateway,
    Route,
    Submission,
)
from services.intake.gateways.http import Services, routes
from services.intake.gateways.registry import Registry
from services.intake.integrations.domain import Integration
from services.intake.integrations.key_ring import KeyRing, TooManyUnknown
from services.intake.signals.domain import AlertData, Decision, Identity, Overloaded, Signal, Taken
from services.intake.signals.domain.backlog import Backlog
from shared.events.cloudevents import Malformed
from shared.http.admission import Admission
from shared.http.server import make_server
from shared.telemetry import configure_telemetry, stop_telemetry
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose
from shared.telemetry.requests import measure_requests
from tests.support.escalating import recorded_spans
from tests.support.http import served
from tests.unit.intake.builders import NOON, no_alerts

KEY = "SecretSecretSecretSecretSecret12"
IN_QUERY = Authentication(
    "InQuery", {"type": "apiKey", "in": "query", "name": "token"}, "a token", in_query="token"
)


def read(submission: Submission) -> list[Signal]:
    if submission.body == b"malformed":
        raise Malformed("body", "is malformed")
    if submission.body == b"fault":
        raise RuntimeError("a fault of our own")
    name, data = submission.integration.name, AlertData(summary="disk full")
    seen = repr((submission.path, submission.query, submission.content_type))
    assert KEY not in seen
    number = int(submission.body or b"1")
    return [Signal(name, str(n), NOON, NOON, submission.trace, data) for n in range(number)]


def route(path: str, authentication: Authentication) -> Route:
    return Route(
        path=path,
        summary="",
        bodies=[Body("text/plain", {"type": "string"}, 1_000_000)],
        read=read,
        answer=Answer(200, dict[str, int], lambda signals, _: {"taken": len(signals)}),
        authentication=authentication,
    )


ROUTES = [
    route("/v1/path/{key}", IN_PATH),
    route("/v1/path/{key}/beats/{name}", IN_PATH),
    route("/v1/query", IN_QUERY),
    route("/v1/basic", BEARER_OR_BASIC),
    route("/v1/either/{key}", replace(IN_PATH, in_query="token")),
]


@dataclass
class System:
    """One integration, and what was stored of it."""

    integration: Integration = field(default_factory=lambda: Integration(name="tests"))
    stored: list[Signal] = field(default_factory=list)
    fails: Exception | None = None
    unknown: Exception | None = None

    async def key(self, key: str | None, gateway: str) -> Integration | None:
        if self.unknown:
            raise self.unknown
        return self.integration if key == KEY else None

    async def submit(self, _: str, signals: Sequence[Signal], __: int) -> Mapping[Identity, Taken]:
        if self.fails:
            raise self.fails
        self.stored.extend(signals)
        return {one.identity: Taken(Decision.OPENED, None) for one in signals}


class _Ring:
    def __init__(self, system: System) -> None:
        self.integration = system.key


@asynccontextmanager
async def serving(system: System, gateway: Gateway) -> AsyncIterator[str]:
    ring = cast("KeyRing", _Ring(system))
    api = make_api(Services(ring, system.submit, no_alerts, lambda: NOON), [gateway])
    measure_requests(api)
    async with served(api) as base:
        yield base


async def post(
    url: str, body: bytes = b"1", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], str]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=body, headers=headers) as answer,
    ):
        return answer.status, answer.headers, (await answer.read()).decode()


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/v1/path/{KEY}", {}),
        (f"/v1/path/{KEY}/", {}),
        (f"/v1/path/{KEY}/beats/cron", {}),
        (f"/v1/query?token={KEY}&other=1", {}),
        (f"/v1/either/-?token={KEY}", {}),
        ("/v1/basic", {"Authorization": basic(KEY)}),
        ("/v1/basic", {"Authorization": f"Bearer {KEY}"}),
    ],
)
async def test_a_key_stands_where_the_sender_can_put_it(path: str, headers: dict[str, str]) -> None:
    system = System()
    async with serving(system, Gateway("tests", ROUTES)) as base:
        assert (await post(base + path, headers=headers))[0] == 200
        wrong = {name: text.replace(KEY, "x" * 32) for name, text in headers.items()}
        if "Authorization" in wrong:
            wrong = {"Authorization": basic("x" * 32)}
        status, _, body = await post(base + path.replace(KEY, "x" * 32), headers=wrong)
    assert status == 401
    assert "x" * 32 not in body
    assert len(system.stored) == 1


@pytest.mark.parametrize("credentials", ["", "Basic", "Basic é", "Basic eA==", "Basic " + "A" * 99])
async def test_basic_credentials_that_are_none(credentials: str) -> None:
    async with serving(System(), Gateway("tests", ROUTES)) as base:
        headers = {"Authorization": credentials}
        assert (await post(f"{base}/v1/basic", headers=headers))[0] == 401


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    configure_telemetry("intake")
    yield
    stop_telemetry()


async def test_a_key_in_the_url_is_never_logged_traced_measured_or_answered(
    measured: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    product = make_server(Starlette(), Admission(1), keep_alive=1, grace=1)
    assert product.config.access_log is False, "as here"
    system, answers = System(), []
    urls = [f"/v1/path/{KEY}", f"/v1/query?token={KEY}", f"/v1/path/{KEY}/beats/cron"]
    with recorded_spans() as exporter:
        async with serving(system, Gateway("tests", ROUTES)) as base:
            for url in urls:
                for body in (b"1", b"malformed", b"fault", b"x" * 1_000_001):
                    answers.append(await post(base + url, body))
                answers.append(await post(base + url, b"1", {"Content-Encoding": "br"}))
                for fault in (ConnectionError("gone"), Overloaded()):
                    system.fails = fault
                    answers.append(await post(base + url))
                system.fails = None
            answers.append(await post(f"{base}/v1/path/{KEY}/unknown"))
            async with aiohttp.ClientSession() as http, http.get(base + urls[0]) as answer:
                answers.append((answer.status, answer.headers, await answer.text()))
        spans = [span.to_json() for span in exporter.get_finished_spans()]
    data = collect()
    assert data is not None
    metrics = expose(data, "text/plain")[0].decode()
    assert {status for status, _, _ in answers} == {200, 400, 404, 405, 413, 415, 500, 503}
    logged = [f"{one.getMessage()} {one.__dict__} {one.exc_text}" for one in caplog.records]
    assert any("503" in line for line in logged)
    assert spans
    assert 'http_route="/v1/path/{key}"' in metrics
    for text in (*logged, *spans, metrics, *(f"{answer}" for answer in answers)):
        assert KEY not in text


@pytest.mark.parametrize("status", [503, 429, 403])
async def test_too_much_is_answered_with_the_status_that_the_sender_repeats(status: int) -> None:
    system = System(Integration(name="tests", rate=0.5, burst=2))
    gateway = replace(Gateway("tests", ROUTES), busy=status)
    url = f"/v1/path/{KEY}"
    async with serving(system, gateway) as base:
        assert [(await post(base + url))[0] for _ in range(3)] == [200, 200, status]
        answered, headers, body = await post(base + url)
        assert (answered, headers["Retry-After"]) == (status, "2")
        assert orjson.loads(body)["detail"] == "more than 0.5 signals a second; send it again"
        system.integration = Integration(name="tests")
        for system.fails, system.unknown in ((Overloaded(), None), (None, TooManyUnknown())):
            answered, headers, _ = await post(base + url)
            assert (answered, headers["Retry-After"]) == (status, "2")


async def test_a_large_group_is_taken_as_a_whole_and_slows_down_only_its_sender() -> None:
    system = System(Integration(name="tests", rate=1, burst=10))
    async with serving(system, Gateway("tests", ROUTES)) as base:
        assert (await post(f"{base}/v1/path/{KEY}", b"5000"))[0] == 200
        assert len(system.stored) == 5000
        status, headers, _ = await post(f"{base}/v1/path/{KEY}")
        assert (status, headers["Retry-After"]) == (503, "11")
        system.integration = Integration(name="other", rate=1, burst=10)
        assert (await post(f"{base}/v1/path/{KEY}"))[0] == 200


@pytest.mark.parametrize("gateway", [*Registry.discover()], ids=lambda gateway: gateway.name)
def test_who_drops_what_was_refused_for_good_is_never_told_that_for_overload(
    gateway: Gateway,
) -> None:
    repeats = {"pagerduty": {429, 503}, "pagerduty-v1": {403, 503}, "opsgenie": {429, 503}}
    assert gateway.busy in repeats.get(gateway.name, {503})


async def test_bodies_in_memory_are_bounded_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "Backlog", lambda: Backlog(1_000))
    async with serving(System(), Gateway("tests", ROUTES)) as base:
        url = f"{base}/v1/path/{KEY}"
        assert (await post(url, b"1" + b" " * 400))[0] == 200
        status, headers, _ = await post(url, b"1" + b" " * 600)
        assert (status, headers["Retry-After"]) == (503, "2")
        assert (await post(url, b"1" + b" " * 400))[0] == 200, "room is given back"


def test_openapi_has_no_scheme_for_a_key_in_the_path() -> None:
    nothing: Any = None
    document = make_api(nothing, [Gateway("tests", ROUTES)]).openapi()
    assert document["paths"]["/v1/path/{key}"]["post"]["security"] == []
    assert document["paths"]["/v1/query"]["post"]["security"] == [{"InQuery": []}]
    assert set(document["components"]["securitySchemes"]) == {"InQuery", "HTTPBearer"}
