"""Downloads from servers on loopback, whose network is permitted for that."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from shared.http.downloads import Downloads, NotDownloaded
from shared.http.network import parse_networks
from tests.support.certificates import Certificate, authority, signed_by

LOOPBACK = parse_networks("127.0.0.0/8")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """A server's, by an authority that this process trusts."""
    ca = authority(tmp_path / "ca")
    context = ssl.create_default_context(cafile=str(ca.path))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", context)
    return signed_by(ca, tmp_path / "server")


@pytest.fixture
async def address(certificate: Certificate) -> AsyncIterator[str]:
    counted = 0

    async def count(_: web.Request) -> web.Response:
        nonlocal counted
        counted += 1
        return web.Response(text=str(counted))

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000)

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("/count")

    app = web.Application()
    app.add_routes([web.get("/count", count), web.get("/large", large)])
    app.add_routes([web.get("/elsewhere", elsewhere)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.server_context()).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_what_lasts_is_remembered_and_nothing_else(address: str) -> None:
    downloads = Downloads(LOOPBACK)
    url = f"{address}/count"
    assert [await downloads.download(url) for _ in range(2)] == [b"1", b"2"]
    assert [await downloads.download(url, lasting=True) for _ in range(2)] == [b"3", b"3"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/large", "more than 65536 bytes"),
        ("/elsewhere", "answered HTTP 302"),
        ("/nothing", "answered HTTP 404"),
    ],
)
async def test_what_is_no_small_document_is_refused(address: str, path: str, reason: str) -> None:
    with pytest.raises(NotDownloaded, match=reason) as refused:
        await Downloads(LOOPBACK).download(address + path)
    assert address not in str(refused.value)


async def test_a_private_address_is_not_called_unless_its_network_is_permitted(
    address: str,
) -> None:
    with pytest.raises(NotDownloaded, match="private network"):
        await Downloads(()).download(f"{address}/count")
    by_name = address.replace("127.0.0.1", "localtest.invalid")
    with pytest.raises(NotDownloaded, match="cannot be read"):
        await Downloads(()).download(f"{by_name}/count")


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://example.com/", "", "https://"])
async def test_only_https_is_called(url: str) -> None:
    with pytest.raises(NotDownloaded):
        await Downloads(LOOPBACK).download(url)


async def test_a_server_that_nobody_vouches_for_is_not_believed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with pytest.raises(NotDownloaded, match="TLS failed"):
        await Downloads(LOOPBACK).download(f"{address}/count")
