"""Settings come from the environment, prefix TOCSIN_; a secret may be in the file that its
TOCSIN_..._FILE names. Secrets are wrapped, so that no log or traceback shows them.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import pydantic_settings
from pydantic import AfterValidator, ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.events.validation import first_problem_in, plain_reason
from shared.http.network import Network, parse_hosts, parse_networks
from shared.kafka.settings import KafkaSettings
from shared.runtime.secret_values import SecretKey, WebhookSecrets
from shared.runtime.variables import SecretFileError, value_of

_INJECTED = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
S = TypeVar("S", bound="Settings")


def _listen_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("write host:port, for example 0.0.0.0:2525 or [::]:2525")
    return value


MailAddress = Annotated[str, AfterValidator(_listen_address)]


class _Environment(EnvSettingsSource):
    """Takes secrets from files, too. Ignores `TOCSIN_..._PORT=tcp://10.0.0.1:80`, which Kubernetes
    sets in every pod for a Service named tocsin-...
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        # Where the file is a setting of its own, it is read whenever the secret is needed.
        own_file = f"{field_name}_file" in self.settings_cls.model_fields
        if _is_secret(field.annotation) and not own_file:
            value = value_of(os.environ, variable_of(field_name))
        injected = isinstance(value, str) and _INJECTED.fullmatch(value)
        return (None if injected else value), key, is_complex


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return f"TOCSIN_{setting.upper()}"


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
    postgres_disk: ByteSize | None = Field(
        default=None, description="size of the volume that Postgres has, such as 200GiB"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    http_fd: int | None = Field(
        default=None, ge=3, description="an open listening socket to serve on, in place of both"
    )
    probes_port: int = Field(
        default=8090,
        ge=0,
        le=65535,
        description="where /livez, /readyz and /metrics are served, on TOCSIN_HTTP_HOST",
    )
    http_keep_alive: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="seconds that an idle connection is kept: longer than a load balancer keeps it",
    )
    http_connections_per_client: int = Field(
        default=1000,
        ge=1,
        description="connections from one address (IPv6: one /64 network) that is no trusted proxy",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(), description="networks of proxies whose X-Forwarded-For and -Proto are believed"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="names that a request's Host may be, with commas; none: any"
    )
    streams_per_client: int = Field(
        default=50,
        ge=1,
        description="open pages of the console from one address (IPv6: one /64 network)",
    )
    policy_dir: Path = Field(default=Path("policy"), description="folder of the policy files")
    public_url: str = Field(
        default="http://127.0.0.1:8082", description="base of the links in pages"
    )
    console_url: str = Field(default="http://127.0.0.1:8083", description="base of the console")
    escalation_url: str = Field(
        default="http://127.0.0.1:8082", description="where `tocsin incidents ack` calls"
    )
    intake_url: str = Field(
        default="http://127.0.0.1:8080", description="where `tocsin intake alerts` calls"
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
    secret_key_previous: SecretKey | None = Field(
        default=None, description="a second key whose links are good, during a rotation"
    )
    api_token: SecretStr | None = Field(
        default=None, description="bearer token of the APIs of escalation and intake"
    )
    webhook_secret: WebhookSecrets | None = Field(
        default=None,
        description="Standard Webhooks secrets (whsec_...), at most two, a space between them",
    )
    webhook_timeout: float = Field(default=10, gt=0, le=120)
    smtp: SecretStr | None = Field(default=None, description="smtp://[user:password@]host:port")
    smtp_from: str = "tocsin@localhost"
    mail_listen: MailAddress | None = Field(
        default=None, description="host:port where intake takes alerts by SMTP; none: it does not"
    )
    mail_certificate: Path | None = Field(
        default=None,
        description="file (PEM) with certificate and chain: then mail may come by STARTTLS",
    )
    mail_certificate_key: Path | None = Field(
        default=None, description="file (PEM) with its key, if that is in another file"
    )
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

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        return parse_hosts(value) if isinstance(value, str) else value

    @field_validator("allowed_networks", "trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return parse_networks(value) if isinstance(value, str) else value

    def dsn(self, service: str) -> str:
        """The runtime DSN of a service."""
        return self.postgres.get_secret_value().replace("{service}", service)

    def admin_dsn(self) -> str:
        """The DSN for migrations. Raises SettingsError when it is not set."""
        return self.required("postgres_admin")

    def secret_keys(self) -> list[str]:
        """The key that signs, and another that is good. Raises SettingsError if there is none."""
        previous = self.secret_key_previous
        return [self.required("secret_key"), *([previous.get_secret_value()] if previous else [])]

    def required(self, name: str) -> str:
        """A secret that this process cannot do without. Raises SettingsError when it is not set."""
        secret: SecretStr | None = getattr(self, name)
        if secret is None or not secret.get_secret_value():
            field = type(self).model_fields[name]
            raise SettingsError(f"{variable_of(name)} is not set ({field.description})")
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
        variable = variable_of("_".join(map(str, problem["loc"])))
        reason = plain_reason(problem)  # what several settings have wrong together names them
        raise SettingsError(f"{variable}: {reason}" if problem["loc"] else reason) from None
    except pydantic_settings.SettingsError as error:
        if isinstance(error.__cause__, SecretFileError):
            raise SettingsError(str(error.__cause__)) from None
        raise
