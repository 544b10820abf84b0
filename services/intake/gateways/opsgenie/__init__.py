"""Opsgenie's alert API, version 2 (https://docs.opsgenie.com/docs/alert-api).

The path may have a prefix before /v2, as in Jira Service Management's
(https://api.atlassian.com/jsm/ops/integration/v2/alerts).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from services.intake.gateways.gateway import Answer, Body, Gateway, Parameter, Respond, Route
from services.intake.gateways.opsgenie import actions, changes, heartbeats, reads
from services.intake.gateways.opsgenie.alerts import notes_of
from services.intake.gateways.opsgenie.answers import GENIE_KEY, PROBLEM, Accepted, Found, refuse
from services.intake.gateways.opsgenie.bodies import MAX_BODY_BYTES, OpsgenieAction, OpsgenieAlert

_ALERTS = "/v2/alerts"
_ONE = "/v2/alerts/{identifier:path}"


def _query(name: str, meaning: str, schema: Any = str) -> Parameter:
    return Parameter(name, meaning, schema, "query")


_KIND = _query("identifierType", "what the path names the alert by: id (default), alias or tiny")
_SEARCH = _query("query", "for example `status:open AND priority:P1`")
_WHO = (_query("user", "who asks"), _query("note", "a note"), _query("source", "where from"))


def _acts(
    path: str, summary: str, respond: Respond, method: str = "POST", body: Any = OpsgenieAction
) -> Route:
    return Route(
        path=path,
        summary=summary,
        answer=Answer(202, Accepted),
        respond=respond,
        method=method,
        bodies=[Body("application/json", body, MAX_BODY_BYTES)] if body else [],
        parameters=[_KIND] if path.startswith(_ONE) else [],
        authentication=GENIE_KEY,
    )


def _removes(path: str, summary: str, respond: Respond, *parameters: Parameter) -> Route:
    route = _acts(path, summary, respond, "DELETE", None)
    return replace(route, parameters=[_KIND, *_WHO, *parameters])


def _reads(path: str, summary: str, respond: Respond, *parameters: Parameter) -> Route:
    return Route(
        path=path,
        summary=summary,
        answer=Answer(200, Found),
        respond=respond,
        method="GET",
        parameters=parameters,
        authentication=GENIE_KEY,
    )


_ATTACHED = "alertIdentifierType"
_settle, _change, _wish = actions.settle, actions.change, actions.wish

# What is looked up last would take the others' paths: an alias may have slashes.
_ROUTES: Sequence[Route] = (
    _acts(_ALERTS, "Create an alert.", actions.create, body=OpsgenieAlert),
    _reads(
        _ALERTS,
        "List open alerts.",
        reads.list_alerts,
        _SEARCH,
        _query("offset", "how many to skip", int),
        _query("limit", "how many at most; 20, and no more than 100", int),
        _query("sort", "the field to sort by; createdAt"),
        _query("order", "asc or desc"),
    ),
    _reads(f"{_ALERTS}/count", "Count open alerts.", reads.count_alerts, _SEARCH),
    _reads(f"{_ALERTS}/requests/{{request_id}}", "What came of a request.", reads.get_request),
    _acts(
        f"{_ONE}/actions/{{action}}",
        "Noted in the alert, not done.",
        _wish("CustomAction", changes.custom_action),
    ),
    _acts(f"{_ONE}/close", "Close an alert.", _settle("Close", "resolved", "Closed alert")),
    _acts(
        f"{_ONE}/acknowledge",
        "Acknowledge an alert.",
        _settle("Acknowledge", "acknowledged", "Acknowledged alert"),
    ),
    _acts(f"{_ONE}/notes", "Add a note.", _change("AddNote", "Added note", changes.note)),
    _acts(f"{_ONE}/tags", "Add tags.", _change("AddTags", "Added tags", changes.add_tags)),
    _acts(
        f"{_ONE}/details",
        "Add details.",
        _change("AddDetails", "Added details", changes.add_details),
    ),
    _acts(
        f"{_ONE}/message",
        "Change the message.",
        _change("UpdateMessage", "Updated message", changes.message),
        "PUT",
    ),
    _acts(
        f"{_ONE}/description",
        "Change the description.",
        _change("UpdateDescription", "Updated description", changes.description),
        "PUT",
    ),
    _acts(
        f"{_ONE}/priority",
        "Change the priority.",
        _change("UpdatePriority", "Updated priority", changes.priority),
        "PUT",
    ),
    _acts(
        f"{_ONE}/unacknowledge",
        "Noted in the alert, not done.",
        _wish("UnAcknowledge", changes.unacknowledge),
    ),
    _acts(f"{_ONE}/snooze", "Noted in the alert, not done.", _wish("Snooze", changes.snooze)),
    _acts(f"{_ONE}/escalate", "Noted in the alert, not done.", _wish("Escalate", changes.escalate)),
    _acts(f"{_ONE}/assign", "Noted in the alert, not done.", _wish("Assign", changes.assign)),
    _acts(
        f"{_ONE}/responders",
        "Noted in the alert, not done.",
        _wish("AddResponder", changes.add_responder),
    ),
    _acts(f"{_ONE}/teams", "Noted in the alert, not done.", _wish("AddTeam", changes.add_team)),
    _removes(
        f"{_ONE}/tags",
        "Remove tags.",
        _change("RemoveTags", "Removed tags", changes.remove_tags),
        _query("tags", "separated by commas"),
    ),
    _removes(
        f"{_ONE}/details",
        "Remove details.",
        _change("RemoveDetails", "Removed details", changes.remove_details),
        _query("keys", "separated by commas"),
    ),
    _removes(
        _ONE,
        "Delete an alert: it is closed, and stays in the records.",
        _settle("Delete", "resolved", "Deleted alert"),
    ),
    _reads(f"{_ONE}/notes", "The notes of an alert.", reads.get_part(notes_of), _KIND),
    _reads(f"{_ONE}/logs", "What happened to an alert.", reads.get_part(reads.log_of), _KIND),
    _reads(f"{_ONE}/recipients", "Always empty.", reads.get_part(lambda _: []), _KIND),
    _reads(
        f"{_ONE}/attachments",
        "Always empty.",
        reads.get_part(lambda _: [], _ATTACHED),
        replace(_KIND, name=_ATTACHED),
    ),
    _reads(_ONE, "An alert.", reads.get_alert, _KIND),
)


_HEARTBEATS = "/v2/heartbeats"
_HEARTBEAT = "/v2/heartbeats/{name:path}"


def _beats(method: str) -> Route:
    return _acts(f"{_HEARTBEAT}/ping", "A beat.", heartbeats.ping, method, None)


def _keeps(
    method: str, path: str, summary: str, respond: Respond, body: bool = False, status: int = 200
) -> Route:
    answers = Accepted if method == "DELETE" else Found
    bodies = [Body("application/json", heartbeats.OpsgenieHeartbeat, MAX_BODY_BYTES)]
    return Route(
        path=path,
        summary=summary,
        answer=Answer(status, answers),
        respond=respond,
        method=method,
        bodies=bodies if body else [],
        authentication=GENIE_KEY,
    )


_HEARTBEAT_ROUTES: Sequence[Route] = (
    *(_beats(method) for method in ("GET", "POST", "PUT", "PATCH")),
    _keeps("POST", _HEARTBEATS, "Expect a heartbeat.", heartbeats.create, True, 201),
    _keeps("GET", _HEARTBEATS, "List heartbeats.", heartbeats.get_all),
    _keeps("POST", f"{_HEARTBEAT}/enable", "Expect it again.", heartbeats.switch(enabled=True)),
    _keeps("POST", f"{_HEARTBEAT}/disable", "Expect it no more.", heartbeats.switch(enabled=False)),
    _keeps("GET", _HEARTBEAT, "A heartbeat.", heartbeats.get),
    _keeps("PATCH", _HEARTBEAT, "Change a heartbeat.", heartbeats.update, True),
    _keeps("DELETE", _HEARTBEAT, "Delete a heartbeat.", heartbeats.delete),
)


def _with_prefix(routes: Sequence[Route]) -> Iterator[Route]:
    yield from routes
    for route in routes:
        yield replace(route, path=f"/{{prefix:path}}{route.path}", described=False)


GATEWAY = Gateway(
    "opsgenie",
    list(_with_prefix([*_ROUTES, *_HEARTBEAT_ROUTES])),
    refuse=refuse,
    problem=PROBLEM,
    busy=429,
)
