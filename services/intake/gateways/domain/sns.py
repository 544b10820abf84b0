"""Messages of Amazon SNS over HTTPS, and their signatures
(https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html).
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from shared.events.documents import load_json
from shared.events.malformed import Malformed
from shared.events.text import shorten

MAX_BODY_BYTES = 512 * 1024
"""SNS sends at most 256 KiB, and escapes it."""
_HOST = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_OPTIONAL = "Subject"
_HASHES: dict[str, Literal["SHA1", "SHA256"]] = {"1": "SHA1", "2": "SHA256"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose fields are there; `signed` is what its signature is about."""

    type: str
    id: str
    topic: str
    content: str
    subscribe_url: str
    certificate_url: str
    signature: bytes
    algorithm: Literal["SHA1", "SHA256"]
    signed: bytes


def read_message(body: bytes) -> Message:
    """Raises Malformed, naming the field."""
    document = load_json(body, "body", MAX_BODY_BYTES)
    if not isinstance(document, dict):
        raise Malformed("body", "is not a JSON object; switch raw message delivery off")
    kind = _field(document, "Type")
    if kind not in _SIGNED:
        known = ", ".join(_SIGNED)
        raise Malformed("Type", f'is "{shorten(kind, 40)}"; one of {known} is expected')
    names = [name for name in _SIGNED[kind] if name != _OPTIONAL or name in document]
    signed = "".join(f"{name}\n{_field(document, name)}\n" for name in names)
    version = _field(document, "SignatureVersion")
    if version not in _HASHES:
        raise Malformed("SignatureVersion", 'must be "1" or "2"')
    try:
        signature = base64.b64decode(_field(document, "Signature"), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("Signature", "is not base64") from None
    subscribes = kind == "SubscriptionConfirmation"
    certificate_url = _field(document, "SigningCertURL")
    if not certificate_url.endswith(".pem"):
        raise Malformed("SigningCertURL", "is not the address of a certificate (.pem)")
    return Message(
        type=kind,
        id=_field(document, "MessageId"),
        topic=_field(document, "TopicArn"),
        content=_field(document, "Message"),
        subscribe_url=_of_sns(document, "SubscribeURL") if subscribes else "",
        certificate_url=_of_sns(document, "SigningCertURL"),
        signature=signature,
        algorithm=_HASHES[version],
        signed=signed.encode(),
    )


def is_genuine(message: Message, certificate: bytes) -> bool:
    """Whether the key of this certificate (PEM) signed the message."""
    # Imported here: it takes 50 ms, and only those who use SNS need it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.x509 import load_pem_x509_certificate

    # SHA1 is what SNS signs with unless its topic says SignatureVersion 2.
    algorithm = SHA256() if message.algorithm == "SHA256" else SHA1()  # noqa: S303
    try:
        key = load_pem_x509_certificate(certificate).public_key()
        if not isinstance(key, RSAPublicKey):
            return False
        key.verify(message.signature, message.signed, PKCS1v15(), algorithm)
    except (InvalidSignature, ValueError):
        return False
    return True


def _field(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise Malformed(name, "must be a text")
    return value


def _of_sns(document: dict[str, Any], name: str) -> str:
    """An address of SNS itself: no other is ever fetched."""
    url = _field(document, name)
    try:
        parts = urlsplit(url)
        known = (
            parts.scheme == "https"
            and parts.username is None
            and parts.port in (None, 443)
            and _HOST.fullmatch(parts.netloc.removesuffix(":443"))
        )
    except ValueError:
        known = None
    if not known or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Malformed(name, "is not an https address of sns.<region>.amazonaws.com")
    return url
