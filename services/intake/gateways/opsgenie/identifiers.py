"""Ids that need no table: of an alert, made of its incident's, and of a request, which carries what
came of it.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson

from shared.events.ids import uuid7

_MAX_REQUEST_ID = 4096
_CHECK_BYTES = 8
_DIGITS = 13
_OWN = "0" * _DIGITS
_UUID = 36


def own_alias(incident_id: UUID) -> str:
    """The alias of an alert that came without one: its id."""
    return f"{incident_id}-{_OWN}"


def alert_id(incident_id: UUID, key: str) -> str:
    """The id of an incident's alert: the incident's, and digits that follow from the key."""
    if key == own_alias(incident_id):
        return key
    digest = hashlib.sha256(key.encode()).digest()
    digits = 1 + int.from_bytes(digest[:8]) % (10**_DIGITS - 1)
    return f"{incident_id}-{digits:0{_DIGITS}}"


def incident_of(identifier: str) -> UUID | None:
    """The incident of an alert's id; None where it is no such id."""
    try:
        return UUID(identifier[:_UUID])
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request. `alert_id` is empty where it failed."""

    action: str
    success: bool
    status: str
    alert_id: str = ""
    alias: str = ""


def request_id(integration: str, outcome: Outcome) -> str:
    """The id of a request, unique, from which `read_request_id` tells the outcome."""
    fields = [str(uuid7()), outcome.action, outcome.success, outcome.status]
    body = orjson.dumps([*fields, outcome.alert_id, outcome.alias])
    return urlsafe_b64encode(_check(integration, body) + body).rstrip(b"=").decode()


def read_request_id(integration: str, given: str) -> tuple[Outcome, datetime] | None:
    """The outcome and the time of a request of this integration; None for any other text.

    The check finds what was damaged or is another integration's. It is no secret: who makes an id
    up deceives nobody but himself.
    """
    if len(given) > _MAX_REQUEST_ID or not given.isascii():
        return None
    try:
        whole = urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except Error:
        return None
    check, body = whole[:_CHECK_BYTES], whole[_CHECK_BYTES:]
    if check != _check(integration, body):
        return None
    made, *fields = orjson.loads(body)
    processed_at = datetime.fromtimestamp((UUID(made).int >> 80) / 1000, UTC)
    return Outcome(*fields), processed_at


def _check(integration: str, body: bytes) -> bytes:
    return hashlib.sha256(integration.encode() + b"\x00" + body).digest()[:_CHECK_BYTES]
