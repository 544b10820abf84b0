"""The console's pages, as a client without JavaScript gets them, and what hostile senders would put
into them.
"""

import aiohttp
import pytest

from tests.support.browser import EXECUTABLE

needs_browser = pytest.mark.skipif(EXECUTABLE is None, reason="chromium is not installed")
HOSTILE = """<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1">'"&{{ 7 * 7 }}"""


async def page(http: aiohttp.ClientSession, address: str, status: int = 200) -> str:
    """The text of a page, which must forbid whatever is not the console's own."""
    async with http.get(address) as answer:
        assert answer.status == status
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        return await answer.text()
