"""The body of a page webhook."""

import orjson

from services.escalation.delivery.channels.webhook import webhook_body
from tests.unit.escalation.delivery.notices import notice


def test_the_body_has_type_timestamp_and_data() -> None:
    body = orjson.loads(webhook_body(notice()))
    assert body["type"] == "tocsin.page"
    assert body["timestamp"] == "2026-03-01T12:00:00Z"
    assert body["data"]["incident"] == "INC-1042"
    assert body["data"]["why"] == ["step 1: user ana"]
