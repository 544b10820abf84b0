"""A path with a slash at its end is the same route, and nothing is redirected."""

import aiohttp
import pytest
from fastapi import FastAPI, Request

from shared.http.app import create_app
from shared.http.problems import JsonResponse
from shared.telemetry import configure_telemetry, stop_telemetry
from shared.telemetry.requests import add_metrics
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
        add_metrics(app)
        async with served(app) as base, aiohttp.ClientSession() as http:
            for path in ("/v1/signals/", "/v1/signals", "/v1/incidents/7/acknowledge/"):
                async with http.post(base + path) as answer:
                    assert answer.status == 200
            async with http.get(base + "/metrics") as answer:
                exposed = await answer.text()
    finally:
        stop_telemetry()
    counts = [line for line in exposed.splitlines() if "http_server" in line and "_count" in line]
    assert any('"/v1/signals"' in line and line.endswith(" 2.0") for line in counts), counts
    assert any('"/v1/incidents/{reference}/acknowledge"' in line for line in counts), counts
    assert not any('/"' in line for line in counts), counts
