"""The canary's settings, from environment variables."""

import re
import socket

from pydantic import Field, SecretStr, field_validator

from shared.runtime.settings import Settings


class CanarySettings(Settings):
    """It also uses TOCSIN_WEBHOOK_SECRET to verify pages, TOCSIN_INTAKE_URL to send
    and TOCSIN_CONSOLE_URL to read its incident.
    """

    canary_key: SecretStr | None = Field(default=None, description="the canary's integration key")
    canary_service: str = Field(
        default="canary", description="its service, marked synthetic in the catalogue"
    )
    canary_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="port of its receiver, instead of TOCSIN_HTTP_PORT",
    )
    canary_name: str = Field(
        default_factory=lambda: (
            re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60] or "canary"
        ),
        description="identifies this canary and its incidents among others",
    )

    @property
    def receiver_port(self) -> int:
        """The port on which it listens for pages."""
        return self.http_port if self.canary_port is None else self.canary_port

    @field_validator("canary_name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            raise ValueError("must be letters, digits, dots, dashes and underscores, at most 63")
        return name
