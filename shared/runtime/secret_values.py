"""Secrets in settings: refused at the start when they are too weak or malformed.

No message repeats a secret.
"""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_MIN_KEY_BYTES = 32
_MIN_WEBHOOK_BYTES, _MAX_WEBHOOK_BYTES = 24, 64
_MAX_WEBHOOK_SECRETS = 2
_PREFIX = "whsec_"


def _secret_key(secret: SecretStr) -> SecretStr:
    size = len(secret.get_secret_value().encode())
    if size < _MIN_KEY_BYTES:
        raise ValueError(
            f"has {size} bytes, and {_MIN_KEY_BYTES} are needed; "
            "make one with `openssl rand -base64 32`"
        )
    return secret


def _webhook_secrets(secrets: SecretStr) -> SecretStr:
    listed = secrets.get_secret_value().split()
    fault = _listing_fault(listed) or next(filter(None, map(_webhook_fault, listed)), None)
    if fault:
        raise ValueError(f'{fault}; make one with `echo "whsec_$(openssl rand -base64 32)"`')
    return secrets


def _listing_fault(secrets: list[str]) -> str | None:
    if not secrets:
        return "is empty"
    if len(secrets) > _MAX_WEBHOOK_SECRETS:
        return f"has {len(secrets)} secrets, and at most {_MAX_WEBHOOK_SECRETS} are taken"
    return None


def _webhook_fault(secret: str) -> str | None:
    if not secret.startswith(_PREFIX):
        return f"has a secret that does not begin with {_PREFIX}"
    try:
        size = len(base64.b64decode(secret.removeprefix(_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        return f"has a secret whose part after {_PREFIX} is not base64"
    if not _MIN_WEBHOOK_BYTES <= size <= _MAX_WEBHOOK_BYTES:
        bounds = f"{_MIN_WEBHOOK_BYTES} to {_MAX_WEBHOOK_BYTES}"
        return f"has a secret of {size} bytes, and {bounds} are needed"
    return None


SecretKey = Annotated[SecretStr, AfterValidator(_secret_key)]
"""A key of 32 bytes or more."""

WebhookSecrets = Annotated[SecretStr, AfterValidator(_webhook_secrets)]
"""One or two secrets of Standard Webhooks (`whsec_` and 24 to 64 bytes in base64)."""
