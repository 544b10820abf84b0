"""Signatures of request bodies: an HMAC with a secret that only the sender and Tocsin know."""

import base64
import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.events.headers import Headers, header_values
from shared.policy.files import PolicyModel

_MAX_SECONDS = 300
_PARTS = r"^[^{}]*\{(hex|base64)\}[^{}]*$"

Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Signature(PolicyModel):
    """Where a request has its signature, and of what.

    `format` is the value of the header, with {hex} or {base64} for the HMAC. With
    `timestamp_header`, the text `<its value>:<body>` is signed instead of the body alone.
    """

    header: Header
    format: Annotated[str, StringConstraints(pattern=_PARTS)] = "{hex}"
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(default="sha256")
    timestamp_header: Header | None = None

    def fault(
        self, secrets: Iterable[str], headers: Headers, body: bytes, now: datetime
    ) -> tuple[str, str] | None:
        """The header that is wrong and why, or None for a request that one of the secrets signed
        within the last five minutes, if it says when.
        """
        given = header_values(headers, self.header.lower())
        if len(given) != 1:
            return self.header, "send the signature of the body in it"
        if self.timestamp_header:
            times = header_values(headers, self.timestamp_header.lower())
            if len(times) != 1 or not re.fullmatch(rb"\d{1,12}", times[0]):
                return self.timestamp_header, "send the time of the signature, in seconds"
            if (apart := abs(now.timestamp() - int(times[0]))) > _MAX_SECONDS:
                return self.timestamp_header, f"is {apart:.0f} s away; set the sender's clock"
            body = times[0] + b":" + body
        expected = [self._sign(secret, body) for secret in secrets]
        # All are compared, so that the time taken says nothing.
        matches = [hmac.compare_digest(one, given[0]) for one in expected]
        if not any(matches):
            return self.header, "does not fit the body; check the secret on both sides"
        return None

    def _sign(self, secret: str, body: bytes) -> bytes:
        digest = hmac.digest(secret.encode(), body, self.algorithm)
        encoded = base64.b64encode(digest).decode()
        return self.format.format(hex=digest.hex(), base64=encoded).encode()
