"""Host names under which an application is served: a page of another site cannot be made to send
requests here by a name of that site (DNS rebinding).
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.problems import Problem, problem_response

_PORT = re.compile(r":[0-9]*$")


class AllowedHosts:
    """Refuses requests whose Host is none of these names; `*.` at the beginning of one stands for
    every name below it.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._domains = tuple(name[1:] for name in names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._allows(scope):
            await self._app(scope, receive, send)
            return
        detail = "Host: this name is not served here; TOCSIN_ALLOWED_HOSTS lists those that are"
        refusal = Problem(421, "Misdirected request", detail, field="Host")
        await problem_response(refusal)(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        name = _PORT.sub("", hosts[0].decode("latin-1").lower()).strip("[]").rstrip(".")
        return name in self._names or name.endswith(self._domains)
