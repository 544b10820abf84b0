"""Signed links: what a person may do to one incident with one click, and until when."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import orjson

from services.escalation.response.domain.orders import Action

LIFETIME = timedelta(days=7)
_MAX_TOKEN = 1024
_PURPOSE = b"tocsin link v1\x00"


class BadLink(Exception):
    """The token was not made by this installation, or has expired; the text is for the person who
    clicked.
    """


@dataclass(frozen=True, slots=True)
class Link:
    """Lets `user` do `action` to `incident_id` until `expires`."""

    incident_id: UUID
    user: str
    action: Action
    expires: datetime


class Links:
    """Makes and reads tokens with keys, and nothing else: no table, so a restore revives none.

    The first key signs; what any of them has signed is read. At least one is needed.
    """

    def __init__(self, keys: Sequence[str], base: str) -> None:
        self._keys = [key.encode() for key in keys]
        self._base = base.rstrip("/")

    def url(self, incident_id: UUID, user: str, action: Action, now: datetime) -> str:
        """The link that goes into a page."""
        return f"{self._base}/a/{self.token(Link(incident_id, user, action, now + LIFETIME))}"

    def token(self, link: Link) -> str:
        """The signed form of a link, safe in a URL's path."""
        payload = orjson.dumps(
            [link.incident_id.hex, link.user, link.action, int(link.expires.timestamp())]
        )
        return f"{_encode(payload)}.{_encode(_sign(self._keys[0], payload))}"

    def read(self, token: str, now: datetime) -> Link:
        """The link of a token. Raises BadLink."""
        payload = self._verified(token)
        incident, user, action, expires = orjson.loads(payload)
        link = Link(UUID(incident), user, action, datetime.fromtimestamp(expires, UTC))
        if link.action not in get_args(Action):
            raise BadLink("This link is of a kind that is not known here.")
        if link.expires <= now:
            raise BadLink("This link has expired. Use the console or `tocsin incidents`.")
        return link

    def _verified(self, token: str) -> bytes:
        payload, _, signature = token[:_MAX_TOKEN].partition(".")
        try:
            decoded, signed = _decode(payload), _decode(signature)
        except (binascii.Error, ValueError):
            decoded, signed = b"", b""
        if not any(hmac.compare_digest(signed, _sign(key, decoded)) for key in self._keys):
            raise BadLink("This link is not valid. Was it copied whole?")
        return decoded


def _sign(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + payload, hashlib.sha256).digest()


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
