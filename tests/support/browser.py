"""A real browser, driven by the DevTools protocol: what a person sees is what the test asks for."""

import asyncio
import base64
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local.process import spawn, stop
from tests.support.stack import until

EXECUTABLE = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
_SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --hide-scrollbars --remote-debugging-port=0"
)

LEAST_CONTRAST = """
(() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter((e) =>
    [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) &&
    e.getClientRects().length);
  return Math.min(...texts.map((e) => {
    const lights = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    const [a, b] = lights.sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
})()
"""
"""In JavaScript: the lowest contrast of a text against what is behind it, as WCAG counts."""


class Browser:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._loaded: set[str] = set()
        self.complaints: list[str] = []

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; what the page complains of meanwhile is kept in
        `complaints`.
        """
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._hear()).get("id") != number:
            pass
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def _hear(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json(timeout=30)
        if message.get("method") in (
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
        ):
            self.complaints.append(json.dumps(message["params"]))
        if message.get("method") == "Page.lifecycleEvent" and message["params"]["name"] == "load":
            self._loaded.add(message["params"]["loaderId"])
        return message

    async def open(self, address: str, **emulation: str) -> None:
        """Go to an address; `emulation` sets CSS media features."""
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in emulation.items()
        ]
        await self.command("Emulation.setEmulatedMedia", features=features)
        page = await self.command("Page.navigate", url=address)
        while page["loaderId"] not in self._loaded:
            await self._hear()

    async def press(self, selector: str) -> None:
        """Click an element that leads to another page, and wait for that."""
        before = set(self._loaded)
        await self.value(f"document.querySelector({json.dumps(selector)}).click()")
        while self._loaded <= before:
            await self._hear()

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    async def text(self, selector: str = "main") -> str:
        """The visible text of an element; empty when it is not there."""
        return str(
            await self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        )

    async def resize(self, width: int, height: int) -> None:
        """Be a screen of this size."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def screenshot(self, file: Path) -> None:
        """A picture of what is seen."""
        picture = await self.command("Page.captureScreenshot")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(picture["data"]))


@contextmanager
def chromium() -> Iterator[str]:
    """DevTools address of a fresh browser, gone after the block with all that it wrote."""
    assert EXECUTABLE
    profile = Path(tempfile.mkdtemp(prefix="tocsin-browser-"))
    port = profile / "DevToolsActivePort"
    process = spawn(
        [EXECUTABLE, *_SWITCHES.split(), f"--user-data-dir={profile}", "about:blank"],
        profile / "log",
        env={**os.environ, "TMPDIR": str(profile)},
    )
    try:
        until(lambda: port.exists() and "\n" in port.read_text(), 60)
        yield f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
    finally:
        stop(process, signal.SIGTERM, 10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children, which may still write
        until(lambda: _is_removed(profile))


def _is_removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@asynccontextmanager
async def tab(address: str) -> AsyncIterator[Browser]:
    """An empty tab of the browser at `address`."""
    async with aiohttp.ClientSession(address) as session:
        async with session.put("/json/new?about:blank") as answer:
            made = await answer.json()
        async with session.ws_connect(made["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            browser = Browser(socket)
            for domain in ("Page", "Runtime", "Log"):
                await browser.command(f"{domain}.enable")
            await browser.command("Page.setLifecycleEventsEnabled", enabled=True)
            yield browser
        async with session.get(f"/json/close/{made['id']}"):
            pass
