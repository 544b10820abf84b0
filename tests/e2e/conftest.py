"""The people of a whole Tocsin."""

from collections.abc import AsyncIterator

import pytest

from tests.support.running import Receiver


@pytest.fixture
async def pages() -> AsyncIterator[Receiver]:
    """Where they are paged."""
    async with Receiver().listening() as receiver:
        yield receiver
