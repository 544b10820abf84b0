"""Credentials in requests."""

import base64
import binascii
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


def bearer_or_basic(request: Request) -> str | None:
    """The token of `Authorization: Bearer`, or the password of `Basic`; None without either."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return bearer(request)
    try:
        decoded = base64.b64decode(given.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(":")[2] or None


def require_token(expected: str) -> Callable[..., Awaitable[None]]:
    """A FastAPI dependency that lets through only the bearer of `expected`."""

    # HTTPBearer is there for OpenAPI; what was sent is compared here.
    async def check(
        request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        if not hmac.compare_digest((bearer(request) or "").encode(), expected.encode()):
            raise unauthorised("send `Bearer <TOCSIN_API_TOKEN>`")

    return check


def unauthorised(hint: str, field: str = "Authorization") -> Problem:
    """401; `hint` says what to send in the `field`."""
    headers = {"WWW-Authenticate": "Bearer"}
    return Problem(401, "Unauthorised", f"{field}: {hint}", headers, field=field)
