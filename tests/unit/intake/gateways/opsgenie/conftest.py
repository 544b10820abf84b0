"""Opsgenie's calls, made on a desk in memory."""

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from starlette.responses import Response

from services.intake.gateways.gateway import Route
from services.intake.gateways.opsgenie import GATEWAY
from services.intake.signals.domain import KnownAlert
from shared.events.cloudevents import Malformed
from shared.http.app import malformed_problem
from shared.http.problems import Problem
from tests.unit.intake.builders import submission
from tests.unit.intake.memory import Memory


def _short(path: str) -> str:
    return path.removeprefix("/v2/alerts").replace("{identifier:path}", "{id}")


ROUTES: dict[tuple[str, str], Route] = {
    (route.method, _short(route.path)): route for route in GATEWAY.routes
}


class Api:
    """Makes calls as Opsgenie's clients do: method and path, without /v2/alerts."""

    def __init__(self) -> None:
        self.desk = Memory()

    async def call(
        self, method: str, path: str, body: Any = None, *, given: Any = None, **query: Any
    ) -> tuple[int, Any]:
        """Status and body of the answer. `given` has the parameters in the path."""
        route = ROUTES[method, path]
        sent = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        request = submission(sent, path=given or {}, query=urlencode(query))
        try:
            assert route.respond is not None
            answer = await route.respond(self.desk, request)
        except Malformed as error:
            answer = GATEWAY.refuse(malformed_problem(error))
        except Problem as problem:
            answer = GATEWAY.refuse(problem)
        return answer.status_code, _body(answer)

    async def act(
        self, method: str, path: str, identifier: str, body: Any = None, **query: Any
    ) -> dict[str, Any]:
        """What came of a call that acts on an alert, named by its alias."""
        action = {"action": query.pop("action")} if "action" in query else {}
        query = {"identifierType": "alias"} | query
        given = {"identifier": identifier} | action
        status, answer = await self.call(method, path, body, given=given, **query)
        assert status == 202, answer
        return await self.outcome(answer)

    async def create(self, **body: Any) -> dict[str, Any]:
        """What came of a new alert."""
        status, answer = await self.call("POST", "", {"message": "disk full"} | body)
        assert status == 202, answer
        return await self.outcome(answer)

    async def outcome(self, answer: dict[str, Any]) -> dict[str, Any]:
        """What the status of a request says."""
        given = {"request_id": answer["requestId"]}
        status, body = await self.call("GET", "/requests/{request_id}", given=given)
        assert status == 200
        data: dict[str, Any] = body["data"]
        return data

    async def get(self, alias: str) -> dict[str, Any]:
        """An alert by its alias."""
        given = {"identifier": alias}
        _, body = await self.call("GET", "/{id}", given=given, identifierType="alias")
        data: dict[str, Any] = body["data"]
        return data

    def only(self) -> KnownAlert:
        """The one alert that is known."""
        (known,) = self.desk.known
        return known


def _body(answer: Response) -> Any:
    assert answer.headers["X-Request-ID"]
    body = orjson.loads(bytes(answer.body))
    assert body["requestId"] == answer.headers["X-Request-ID"]
    return body


@pytest.fixture
def api() -> Api:
    return Api()
