"""Error answers: problem+json (RFC 9457)."""

from typing import Any

import orjson
from fastapi.responses import JSONResponse, Response

PROBLEM: dict[str, Any] = {
    "description": "What is wrong, and how to correct it (RFC 9457). "
    "503 comes with Retry-After: send it again.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "field": {"type": "string", "description": "the part of the request at fault"},
                    "reason": {"type": "string"},
                },
            }
        }
    },
}
"""Every error answer, as OpenAPI describes a response."""


class JsonResponse(JSONResponse):
    """JSON by orjson: UUIDs, times and dataclasses as they are."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content, default=str)


class Problem(Exception):
    """An answer that is an error: HTTP status, what is wrong, how to correct it; `extra` joins the
    JSON body.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers
        self.extra = extra


def problem_body(status: int, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The JSON object of an error answer."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}


def problem_response(problem: Problem) -> Response:
    """The answer."""
    body = problem_body(problem.status, problem.title, problem.detail, **problem.extra)
    media_type = "application/problem+json"
    return JsonResponse(body, problem.status, problem.headers, media_type=media_type)
