"""A real browser, driven by the DevTools protocol: what a person sees is what the test asks for."""

import asyncio
import base64
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.running import eventually

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-port=0"
)


class Browser:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.complaints: list[str] = []

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; what the page complains of meanwhile is kept in `complaints`."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=30)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"):
                self.complaints.append(json.dumps(message["params"]))

    async def open(self, address: str, **emulation: str) -> None:
        """Go to an address; `emulation` sets CSS media features."""
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in emulation.items()]
        await self.command("Emulation.setEmulatedMedia", features=features)
        await self.command("Page.navigate", url=address)
        await eventually("the page is complete", lambda: self.value("document.readyState === 'complete'"))

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        answer = await self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    async def text(self, selector: str = "main") -> str:
        """The visible text of an element; empty when it is not there."""
        return str(await self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

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


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A fresh browser with one empty tab, gone after the block."""
    assert EXECUTABLE
    profile = Path(tempfile.mkdtemp(prefix="tocsin-browser-"))
    process = await asyncio.create_subprocess_exec(
        EXECUTABLE,
        *_SWITCHES.split(),
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            port = await eventually("the browser listens", lambda: _port(profile), 60)
            tab = await eventually("the browser has a tab", lambda: _tab(session, port), 60)
            async with session.ws_connect(tab, max_msg_size=0) as socket:
                browser = Browser(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await browser.command(f"{domain}.enable")
                yield browser
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(profile, ignore_errors=True)


async def _port(profile: Path) -> str | None:
    file = profile / "DevToolsActivePort"
    return file.read_text().split("\n")[0] if file.exists() else None


async def _tab(session: aiohttp.ClientSession, port: str) -> str | None:
    async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
        tabs = await answer.json()
    return next((tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"), None)
