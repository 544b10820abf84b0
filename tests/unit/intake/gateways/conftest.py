"""Gateways over HTTP."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.intake.gateways.serving import Served, serving


@pytest.fixture
async def api() -> AsyncIterator[Served]:
    """All gateways, served."""
    async with serving() as made:
        yield made
