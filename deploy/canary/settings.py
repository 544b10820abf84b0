"""What a canary needs to be told, by the environment like everybody."""

import re
import socket

from pydantic import Field, SecretStr, field_validator

from shared.runtime.settings import Settings


class CanarySettings(Settings):
    """TOCSIN_WEBHOOK_SECRET is what it knows Tocsin's pages by, TOCSIN_CONSOLE_URL where it asks
    about its incident.
    """

    intake_url: str = Field(default="http://127.0.0.1:8080", description="base of intake")
    canary_key: SecretStr | None = Field(
        default=None, description="an integration key of the canary's own"
    )
    canary_service: str = Field(
        default="canary", description="its service, which the catalogue marks synthetic"
    )
    canary_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="where its receiver listens, in place of TOCSIN_HTTP_PORT",
    )
    canary_name: str = Field(
        default_factory=lambda: (
            re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60] or "canary"
        ),
        description="tells this canary from others, and what it left behind from what others do",
    )

    @property
    def receiver_port(self) -> int:
        """Where it listens for pages."""
        return self.http_port if self.canary_port is None else self.canary_port

    @field_validator("canary_name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            raise ValueError(
                "a name has letters, digits, dots, dashes and underscores, 63 at the most"
            )
        return name
