"""TLS and credentials of every Kafka client. Files are read again for each new connection, so that
what was rotated counts from the next one on, without a restart.
"""

import base64
import binascii
import json
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import SaslAuthenticationFailed

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "OAUTHBEARER"]


@dataclass(frozen=True, slots=True)
class Security:
    """How a client connects and who it is, in Kafka's own terms. Without arguments: in plain text,
    as nobody.

    `ca_file`: PEM; None takes the system's CAs. `password` is a text or the file that holds it;
    `token_file` holds the token for OAUTHBEARER, as Kubernetes projects one for a service account.
    """

    protocol: Protocol = "PLAINTEXT"
    ca_file: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str | Path = field(default="", repr=False)
    token_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """The arguments of an aiokafka client."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            options["ssl_context"] = _CurrentTrust(self.ca_file)
        if not self.protocol.startswith("SASL"):
            return options
        options["sasl_mechanism"] = self.mechanism
        if self.mechanism == "OAUTHBEARER":
            conn.OAuthAuthenticator = _TokenAuthenticator
            return options | {"sasl_oauth_token_provider": _TokenFile(self.token_file)}
        password = _PasswordFile(self.password) if isinstance(self.password, Path) else None
        return options | {
            "sasl_plain_username": self.username,
            "sasl_plain_password": password or self.password,
        }

    @property
    def principal(self) -> str:
        """Who the broker takes this client for, unless it maps names; as ACLs name it."""
        if not self.protocol.startswith("SASL"):
            return "User:ANONYMOUS"
        if self.mechanism == "OAUTHBEARER":
            return f"User:{_subject_in(self.token_file)}"
        return f"User:{self.username}"


PLAINTEXT = Security()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka and this installation's part of it: `bootstrap` servers (host:port[,host:port]), the
    `prefix` before all its topics and groups, and how to connect.
    """

    bootstrap: str
    prefix: str = ""
    security: Security = PLAINTEXT


class CredentialsError(OSError):
    """A file cannot be used; the text names the setting, the file and the reason. An OSError, so
    that a client fails to connect and tries again later.
    """

    def __init__(self, setting: str, path: Path | None, reason: object) -> None:
        why = getattr(reason, "strerror", None) or reason
        super().__init__(f"TOCSIN_KAFKA_{setting}: {path}: {why}")


class _CurrentTrust(ssl.SSLContext):
    """Trusts the CAs that the file holds at the time of a connection."""

    _ca_file: Path | None

    def __new__(cls, ca_file: Path | None) -> "_CurrentTrust":
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context._ca_file = ca_file
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Called by asyncio and uvloop for each connection."""
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:  # includes SSLError
            raise CredentialsError("CA_FILE", self._ca_file, error) from None
        context.sslobject_class = _Closing
        return context.wrap_bio(*arguments, **options)


class _Closing(ssl.SSLObject):
    """Says good-bye and does not wait for the answer, as TLS allows. Brokers do not always give
    one, and a stop would wait for it for 30 s.
    """

    def unwrap(self) -> None:
        with suppress(ssl.SSLWantReadError):
            super().unwrap()


class _PasswordFile:
    """Takes the place of a password: aiokafka encodes it for each connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def encode(self, _: str) -> bytes:
        return _read("PASSWORD_FILE", self._path).encode()


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, path: Path | None) -> None:
        self._path = path

    async def token(self) -> str:
        return _read("TOKEN_FILE", self._path)

    def extensions(self) -> dict[str, str]:
        return {}


class _TokenAuthenticator(conn.OAuthAuthenticator):  # type: ignore[misc]
    """aiokafka takes a refusal for a success: the broker sends the reason as a challenge, which has
    to be answered before it sends the error (RFC 7628, 3.2.3).
    """

    async def step(self, challenge: bytes | None) -> Any:
        if challenge:
            raise SaslAuthenticationFailed(f"the broker refused the token: {challenge.decode()}")
        return await super().step(challenge)


def _read(setting: str, path: Path | None) -> str:
    """A secret from its file, without blanks around it. Raises CredentialsError."""
    try:
        secret = Path(path or "").read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(setting, path, error) from None
    if not secret:
        raise CredentialsError(setting, path, "is empty")
    return secret


def _subject_in(token_file: Path | None) -> str:
    """The name in a token, unverified: for messages only."""
    try:
        claims = _read("TOKEN_FILE", token_file).split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"])
    except (OSError, LookupError, TypeError, ValueError, binascii.Error):
        return "(unknown)"
