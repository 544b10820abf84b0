"""The HTTP API of the figures."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from services.reporting.figures.domain import DEFINITIONS
from services.reporting.figures.store import load_figures
from shared.http.app import JsonResponse
from shared.postgres.database import Database
from shared.runtime.clock import Clock


def make_router(database: Database, clock: Clock) -> APIRouter:
    """The route /v1/metrics."""
    router = APIRouter(prefix="/v1", default_response_class=JsonResponse)

    @router.get("/metrics")
    async def metrics(days: Annotated[int, Query(ge=1, le=3660)] = 30) -> JsonResponse:
        """MTTA and MTTR over the incidents opened in the last `days`, with their definitions."""
        async with database.connection() as connection:
            figures = asdict(await load_figures(connection, clock() - timedelta(days=days), days))
        means = {f"{name}_seconds": _seconds(figures.pop(name)) for name in ("mtta", "mttr")}
        return JsonResponse({**figures, **means, "definitions": DEFINITIONS})

    return router


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None
