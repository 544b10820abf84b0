"""Bearer tokens."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from shared.http.problems import Problem


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer`, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def require_token(expected: str) -> Callable[..., Awaitable[None]]:
    """A FastAPI dependency that lets through only the bearer of `expected`."""

    # HTTPBearer is there for OpenAPI; what was sent is compared here.
    async def check(
        request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        if not hmac.compare_digest((bearer(request) or "").encode(), expected.encode()):
            raise unauthorised("send `Bearer <TOCSIN_API_TOKEN>`")

    return check


def unauthorised(hint: str) -> Problem:
    """401; `hint` says what to send as Authorization."""
    headers = {"WWW-Authenticate": "Bearer"}
    detail = f"Authorization: {hint}"
    return Problem(401, "Unauthorised", detail, headers, field="Authorization")
