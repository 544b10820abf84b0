"""What a canary needs to be told, by the environment like everybody."""

import re
import socket

from pydantic import Field, SecretStr, field_validator

from shared.settings import Settings


class CanarySettings(Settings):
    """TOCSIN_HTTP_HOST and TOCSIN_HTTP_PORT are where its receiver listens, TOCSIN_WEBHOOK_SECRET is what it knows
    Tocsin's pages by."""

    intake_url: str = Field(default="http://127.0.0.1:8080", description="base of intake")
    canary_key: SecretStr | None = Field(default=None, description="an integration key of the canary's own")
    canary_service: str = Field(default="canary", description="its service, which the catalogue marks synthetic")
    canary_name: str = Field(
        default_factory=lambda: re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60] or "canary",
        description="tells this canary from others, and what it left behind from what others do",
    )

    @field_validator("canary_name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            raise ValueError("a name has letters, digits, dots, dashes and underscores, 63 at the most")
        return name
