"""Opsgenie's calls that read: alerts, lists, counts, and what came of a request."""

from collections.abc import Awaitable, Callable
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from services.intake.gateways.gateway import Desk, Submission
from services.intake.gateways.opsgenie.alerts import details_of, origin, summary_of, time_of
from services.intake.gateways.opsgenie.answers import found, not_found, not_processable
from services.intake.gateways.opsgenie.identifiers import read_request_id
from services.intake.gateways.opsgenie.query import parse_query
from services.intake.gateways.opsgenie.targets import find_target
from services.intake.signals.domain import KnownAlert

Respond = Callable[[Desk, Submission], Awaitable[Response]]

_MAX_LIMIT = 100
_MAX_OFFSET = 20_000
_SORTS = (
    *("createdAt", "updatedAt", "tinyId", "alias", "message", "status", "acknowledged", "isSeen"),
    *("snoozed", "count", "lastOccurredAt", "source", "owner", "priority"),
)


async def get_alert(desk: Desk, submission: Submission) -> Response:
    """One alert, open or closed."""
    known = await _known(desk, submission, "identifierType")
    return found(details_of(known, submission.integration.name))


def get_part(show: Callable[[KnownAlert], list[Any]], parameter: str = "identifierType") -> Respond:
    """What one alert has a list of."""

    async def respond(desk: Desk, submission: Submission) -> Response:
        listed = show(await _known(desk, submission, parameter))
        return found(listed, paging={})

    return respond


def log_of(known: KnownAlert) -> list[dict[str, Any]]:
    """What happened to an alert, as far as intake keeps it, newest first."""
    entries = [("Alert created", known.started_at)]
    if known.status != "firing":
        done = "Alert closed" if known.status == "resolved" else "Alert acknowledged"
        entries.append((done, known.updated_at))
    return [
        {
            "log": log,
            "type": "system",
            "owner": "System",
            "createdAt": time_of(at),
            "offset": str(n),
        }
        for n, (log, at) in reversed(list(enumerate(entries)))
    ]


async def list_alerts(desk: Desk, submission: Submission) -> Response:
    """The open alerts that a query means, page by page."""
    query = submission.query
    offset = _number(submission, "offset", 0, _MAX_OFFSET)
    limit = min(_number(submission, "limit", 20, _MAX_OFFSET) or 1, _MAX_LIMIT)
    sort, order = query.get("sort", "createdAt"), query.get("order", "desc")
    if sort not in _SORTS:
        raise not_processable("sort", f"must be one of {', '.join(_SORTS)}")
    if order not in ("asc", "desc"):
        raise not_processable("order", "must be `asc` or `desc`")
    matching = await _matching(desk, submission)
    matching.sort(key=_numeric if sort == "tinyId" else itemgetter(sort), reverse=order == "desc")
    paging = _paging(submission, offset, limit, len(matching))
    return found(matching[offset : offset + limit], paging=paging)


async def count_alerts(desk: Desk, submission: Submission) -> Response:
    """How many open alerts a query means."""
    return found({"count": len(await _matching(desk, submission))})


async def get_request(_: Desk, submission: Submission) -> Response:
    """What came of a request: its id says it."""
    integration = submission.integration.name
    read = read_request_id(integration, submission.path["request_id"])
    if read is None:
        raise not_found("Request")
    outcome, processed_at = read
    return found(
        {
            "success": outcome.success,
            "isSuccess": outcome.success,
            "action": outcome.action,
            "processedAt": time_of(processed_at),
            "integrationId": integration,
            "status": outcome.status,
            "alertId": outcome.alert_id,
            "alias": outcome.alias,
        }
    )


async def _known(desk: Desk, submission: Submission, parameter: str) -> KnownAlert:
    known = (await find_target(desk, submission, parameter)).known
    if known is None:
        raise not_found("Alert")
    return known


async def _matching(desk: Desk, submission: Submission) -> list[dict[str, Any]]:
    if submission.query.get("searchIdentifier"):
        raise not_processable("searchIdentifier", "is not taken; send the `query` itself")
    matches = parse_query(submission.query.get("query", ""))
    name, summaries = submission.integration.name, []
    for known in await desk.open_alerts(origin(submission)):
        if matches(details_of(known, name)):
            summaries.append(summary_of(known, name))
    return summaries


def _number(submission: Submission, name: str, default: int, most: int) -> int:
    given = submission.query.get(name)
    if given is None or given == "":
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 9) or int(given) > most:
        raise not_processable(name, f"must be a number from 0 to {most}")
    return int(given)


def _numeric(alert: dict[str, Any]) -> int:
    return int(alert["tinyId"])


def _paging(submission: Submission, offset: int, limit: int, total: int) -> dict[str, str]:
    """The pages around this one, each as a path with its query."""
    kept = {name: value for name, value in submission.query.items() if name != "offset"}
    last = (total - 1) // limit * limit if total else 0

    def page(at: int) -> str:
        return "/v2/alerts?" + urlencode(kept | {"offset": str(at), "limit": str(limit)})

    pages = {"first": page(0), "last": page(last)}
    if offset > 0:
        pages["prev"] = page(max(offset - limit, 0))
    if offset + limit < total:
        pages["next"] = page(offset + limit)
    return pages
