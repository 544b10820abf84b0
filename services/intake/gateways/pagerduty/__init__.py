"""PagerDuty's Events API: version 2, change events, and version 1
(https://developer.pagerduty.com/docs/events-api-v2-overview).

The integration key stands in the body. A deduplication key is one incident; it is the same whether
an event came by version 1 or 2.
"""

from functools import partial

from services.intake.gateways.gateway import Answer, Body, Gateway, Route
from services.intake.gateways.pagerduty import events, version1
from services.intake.gateways.pagerduty.answers import MAX_BODY_BYTES, PROBLEM, key_in_body, refuse

_JSON = "application/json"

GATEWAY = Gateway(
    "pagerduty",
    [
        Route(
            path="/v2/enqueue",
            summary="PagerDuty Events API v2: trigger, acknowledge or resolve.",
            bodies=[Body(_JSON, events.PagerDutyEvent, MAX_BODY_BYTES)],
            read=events.read_event,
            answer=Answer(202, events.AcceptedEvent, events.render_event),
            authentication=key_in_body("routing_key"),
        ),
        Route(
            path="/v2/change/enqueue",
            summary="PagerDuty change events.",
            bodies=[Body(_JSON, events.PagerDutyChange, MAX_BODY_BYTES)],
            read=events.read_change,
            answer=Answer(202, events.AcceptedChange, events.render_change),
            authentication=key_in_body("routing_key"),
        ),
        Route(
            path="/generic/2010-04-15/create_event.json",
            summary="PagerDuty Events API v1: trigger, acknowledge or resolve.",
            bodies=[Body(_JSON, version1.PagerDutyEventV1, MAX_BODY_BYTES)],
            read=version1.read_event,
            answer=Answer(200, version1.AcceptedEventV1, version1.render_event),
            authentication=key_in_body("service_key"),
            refuse=partial(refuse, too_many=403),
        ),
    ],
    refuse=refuse,
    problem=PROBLEM,
    busy=429,
)
