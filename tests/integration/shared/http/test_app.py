"""Paths and bodies as clients send them: one route for a path, plain words for what is wrong."""

import asyncio
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from shared.http.app import create_app
from shared.http.problems import JsonResponse
from shared.telemetry import configure_telemetry, stop_telemetry
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose
from shared.telemetry.requests import measure_requests
from tests.support.http import served


def make_app() -> FastAPI:
    app = create_app("Tests")

    @app.post("/v1/incidents/{reference}/acknowledge")
    async def acknowledge(reference: str) -> dict[str, str]:
        return {"acknowledged": reference}

    async def plain(request: Request) -> JsonResponse:
        return JsonResponse({"path": request.scope["path"]})

    app.add_route("/v1/signals", plain, methods=["POST"])
    return app


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_route_is_served(slash: str) -> None:
    proxied = {"Host": "tocsin.example.com", "X-Forwarded-Proto": "https"}
    async with served(make_app()) as base, aiohttp.ClientSession(headers=proxied) as http:
        url = f"{base}/v1/incidents/1042/acknowledge{slash}?by=ana"
        async with http.post(url, allow_redirects=False) as answer:
            assert (answer.status, await answer.json()) == (200, {"acknowledged": "1042"})
        async with http.post(f"{base}/v1/signals{slash}", allow_redirects=False) as answer:
            assert (answer.status, await answer.json()) == (200, {"path": "/v1/signals"})


@pytest.mark.parametrize("path", ["/v1/signals//", "//evil.example/", "/unknown/", "/unknown", "/"])
async def test_nothing_is_redirected(path: str) -> None:
    async with (
        served(make_app()) as base,
        aiohttp.ClientSession() as http,
        http.post(base + path, allow_redirects=False) as answer,
    ):
        assert answer.status == 404
        assert "Location" not in answer.headers


async def test_metrics_know_the_route_by_one_name() -> None:
    app = make_app()
    configure_telemetry("reporting")
    try:
        measure_requests(app)
        async with served(app) as base, aiohttp.ClientSession() as http:
            for path in ("/v1/signals/", "/v1/signals", "/v1/incidents/7/acknowledge/"):
                async with http.post(base + path) as answer:
                    assert answer.status == 200
            data = collect()
            assert data
            exposed = expose(data, "")[0].decode()
    finally:
        stop_telemetry()
    counts = [line for line in exposed.splitlines() if "http_server" in line and "_count" in line]
    assert any('"/v1/signals"' in line and line.endswith(" 2.0") for line in counts), counts
    assert any('"/v1/incidents/{reference}/acknowledge"' in line for line in counts), counts
    assert not any('/"' in line for line in counts), counts


async def test_the_openapi_document_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app, made = make_app(), [0]
    whole = app.openapi

    def counted() -> dict[str, Any]:
        made[0] += 1
        return whole()

    monkeypatch.setattr(app, "openapi", counted)
    async with served(app) as base, aiohttp.ClientSession() as http:
        documents = await asyncio.gather(*(get_json(http, base) for _ in range(64)))
    assert documents == [whole()] * 64
    assert made == [1]


async def get_json(http: aiohttp.ClientSession, base: str) -> Any:
    async with http.get(f"{base}/openapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        return await answer.json()


class Order(BaseModel):
    by: str = Field(min_length=1)


def ordering() -> FastAPI:
    app = create_app("Orders", max_body=1000)

    @app.post("/order")
    async def order(order: Order) -> dict[str, str]:
        return {"by": order.by}

    return app


async def post(body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    async with (
        served(ordering()) as base,
        aiohttp.ClientSession(headers={"Content-Type": content_type}) as http,
        http.post(f"{base}/order", data=body) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("body", "by"),
    [
        (b'{"by": "ana"}', "ana"),
        (b'\xef\xbb\xbf{"by": "ana"}', "ana"),
        (rb'{"by": "ana \ud83d"}', "ana \ufffd"),
        (rb'{"by": "ana \ud83d\udd25"}', "ana 🔥"),
    ],
)
async def test_an_order_is_read_as_clients_write_it(body: bytes, by: str) -> None:
    assert await post(body) == (200, {"by": by})


@pytest.mark.parametrize(
    ("body", "content_type", "status", "field", "reason"),
    [
        (b"", "application/json", 422, "body", "is required"),
        (b"{", "application/json", 422, "body", "is not JSON"),
        (b'{"by": 5}', "application/json", 422, "by", "must be a text"),
        (b'{"by": ""}', "application/json", 422, "by", "must not be empty"),
        (b"{}", "application/json", 422, "by", "is required"),
        (b'{"by": "\xff"}', "application/json", 400, "body", "is not JSON in UTF-8"),
        (
            b"by=ana",
            "application/x-www-form-urlencoded",
            422,
            "body",
            "send JSON with Content-Type",
        ),
        (b'{"by": "ana"}', "text/plain", 422, "body", "send JSON with Content-Type"),
        (b"[" * 999, "application/json", 400, "body", "is not JSON in UTF-8, or is nested too"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_in_plain_words(
    body: bytes, content_type: str, status: int, field: str, reason: str
) -> None:
    got, problem = await post(body, content_type)
    assert (got, problem["field"]) == (status, field)
    assert problem["reason"].startswith(reason)


async def test_a_body_over_the_bound_is_refused() -> None:
    assert (await post(b"x" * 1001))[0] == 413
