"""Settings come from the environment, prefix TOCSIN_. Secrets are wrapped, so that no log or
traceback shows them.
"""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.events.validation import first_problem_in, plain_reason
from shared.http.network import Network, parse_networks
from shared.kafka.settings import KafkaSettings
from shared.runtime.secret_values import SecretKey, WebhookSecrets

_INJECTED = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
S = TypeVar("S", bound="Settings")


class _Environment(EnvSettingsSource):
    """Ignores `TOCSIN_..._PORT=tcp://10.0.0.1:80`, which Kubernetes sets in every pod for a Service
    named tocsin-...
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        injected = isinstance(value, str) and _INJECTED.fullmatch(value)
        return (None if injected else value), key, is_complex


class Settings(KafkaSettings):
    """What every service may need. Durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_", extra="ignore")

    instance: str | None = Field(
        default=None,
        description="name of this replica, unique among live ones; "
        "a restart under it rejoins within a second",
    )
    postgres: SecretStr = Field(
        default=SecretStr("postgresql://tocsin_{service}@localhost/tocsin"),
        description="DSN of the runtime role; {service} is replaced by the service's name, "
        "password_file=PATH in its query names a file with the password",
    )
    postgres_admin: SecretStr | None = Field(
        default=None, description="DSN for `migrate`: may create roles and schemas"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    http_fd: int | None = Field(
        default=None, ge=3, description="an open listening socket to serve on, in place of both"
    )
    http_keep_alive: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="seconds that an idle connection is kept: longer than a load balancer keeps it",
    )
    policy_dir: Path = Field(default=Path("policy"), description="folder of the policy files")
    public_url: str = Field(
        default="http://127.0.0.1:8082", description="base of the links in pages"
    )
    console_url: str = Field(default="http://127.0.0.1:8083", description="base of the console")
    escalation_url: str = Field(
        default="http://127.0.0.1:8082", description="where `tocsin incidents ack` calls"
    )
    trace_url: str | None = Field(
        default=None, description="link to a trace: an address with {trace_id} in it"
    )
    traces_api: str | None = Field(
        default=None, description="base of a query API like Jaeger's, for the console"
    )
    secret_key: SecretKey | None = Field(
        default=None, description="signs the links in pages; 32 random bytes or more"
    )
    api_token: SecretStr | None = Field(
        default=None, description="bearer token of the escalation API"
    )
    webhook_secret: WebhookSecrets | None = Field(
        default=None,
        description="Standard Webhooks secrets (whsec_...), at most two, a space between them",
    )
    webhook_timeout: float = Field(default=10, gt=0, le=120)
    smtp: SecretStr | None = Field(default=None, description="smtp://[user:password@]host:port")
    smtp_from: str = "tocsin@localhost"
    allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(), description="private networks that webhooks may reach, with commas between them"
    )
    gauges_seconds: float = Field(
        default=10, gt=0, description="how often levels are read for metrics"
    )
    log_level: str = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment but for what Kubernetes puts there."""
        return init_settings, _Environment(settings_cls)

    @field_validator("allowed_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return parse_networks(value) if isinstance(value, str) else value

    def dsn(self, service: str) -> str:
        """The runtime DSN of a service."""
        return self.postgres.get_secret_value().replace("{service}", service)

    def admin_dsn(self) -> str:
        """The DSN for migrations. Raises SettingsError when it is not set."""
        return self.required("postgres_admin")

    def required(self, name: str) -> str:
        """A secret that this process cannot do without. Raises SettingsError when it is not set."""
        secret: SecretStr | None = getattr(self, name)
        if secret is None or not secret.get_secret_value():
            field = type(self).model_fields[name]
            raise SettingsError(f"TOCSIN_{name.upper()} is not set ({field.description})")
        return secret.get_secret_value()


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable and the fix."""


def load_settings() -> Settings:
    """What every service may need, from the environment. Raises SettingsError, as `read_settings`
    does.
    """
    return read_settings(Settings)


def read_settings(kind: type[S]) -> S:
    """Settings from the environment. Raises SettingsError that names the first wrong variable,
    never its value.
    """
    try:
        return kind()
    except ValidationError as error:
        problem = first_problem_in(error)
        name = "_".join(("TOCSIN", *map(str, problem["loc"]))).upper()
        reason = plain_reason(problem)  # what several settings have wrong together names them
        raise SettingsError(f"{name}: {reason}" if problem["loc"] else reason) from None
