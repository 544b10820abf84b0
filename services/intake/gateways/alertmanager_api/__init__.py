"""Alertmanager's API, version 2, for whoever sends alerts to an Alertmanager, Prometheus first; and
what amtool and dashboards ask of one
(https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).

Silences are not kept here: nobody has any.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from services.intake.gateways.alertmanager.alerts import MAX_BODY_BYTES
from services.intake.gateways.alertmanager_api import listing, taking
from services.intake.gateways.alertmanager_api.answers import (
    FAULT,
    GettableAlert,
    GettableGroup,
    PostableAlert,
    Receiver,
    Status,
    refuse,
)
from services.intake.gateways.alertmanager_api.clocks import SlowClocks
from services.intake.gateways.gateway import (
    BEARER_OR_BASIC,
    IN_PATH,
    MAKE_ONE,
    Answer,
    Authentication,
    Body,
    Gateway,
    Parameter,
    Respond,
    Route,
)

NAME = taking.GATEWAY_NAME
_PREFIX = "/v1/alertmanager"
_STATES = ("active", "silenced", "inhibited", "unprocessed")
_LISTING = [
    *(Parameter(name, f"show {name} alerts", bool, "query") for name in _STATES),
    Parameter("filter", 'a matcher, such as severity="critical"; may repeat', list[str], "query"),
    Parameter("receiver", "a regular expression for the receiver's name", str, "query"),
]


def _routes(prefix: str, authentication: Authentication, clocks: SlowClocks) -> list[Route]:
    def get(
        path: str,
        summary: str,
        respond: Respond,
        schema: Any,
        *,
        filtered: bool = False,
        content_type: str = "application/json",
    ) -> Route:
        return Route(
            path=f"{prefix}{path}",
            summary=summary,
            method="GET",
            respond=respond,
            answer=Answer(200, schema, content_type=content_type),
            parameters=_LISTING if filtered else (),
            authentication=authentication,
        )

    say = partial(get, schema={"type": "string"}, content_type="text/plain")

    return [
        _taking(prefix, authentication, clocks),
        get(
            *("/api/v2/alerts", "The integration's alerts that fire."),
            *(listing.list_alerts, list[GettableAlert]),
            filtered=True,
        ),
        get(
            *("/api/v2/alerts/groups", "The same, by incident."),
            *(listing.list_groups, list[GettableGroup]),
            filtered=True,
        ),
        get("/api/v2/receivers", "The one receiver.", listing.list_receivers, list[Receiver]),
        get("/api/v2/silences", "None.", listing.list_silences, list[None]),
        get("/api/v2/status", "Version and uptime.", listing.show_status, Status),
        say("/-/healthy", "Whether it answers.", listing.say_ok),
        say("/-/ready", "Whether alerts can be taken.", listing.say_ok),
    ]


def _taking(prefix: str, authentication: Authentication, clocks: SlowClocks) -> Route:
    return Route(
        path=f"{prefix}/api/v2/alerts",
        summary="Alerts that fire or are over.",
        bodies=[Body("application/json", list[PostableAlert], MAX_BODY_BYTES)],
        respond=partial(taking.take_alerts, clocks),
        answer=Answer(200, None),
        authentication=authentication,
    )


def _gateway() -> Gateway:
    """Served below two prefixes, for senders of which some can set headers, and some only a URL."""
    clocks = SlowClocks()
    in_path = replace(
        IN_PATH, hint=f"what follows {_PREFIX}/ must be an integration key; {MAKE_ONE}"
    )
    routes = [
        *_routes(_PREFIX, BEARER_OR_BASIC, clocks),
        *(
            replace(route, described=False)
            for route in _routes(f"{_PREFIX}/{{key}}", in_path, clocks)
        ),
    ]
    return Gateway(NAME, routes, refuse=refuse, problem=FAULT)


GATEWAY = _gateway()
