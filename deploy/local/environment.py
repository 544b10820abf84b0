"""The parts of the stack, and the environment variables that connect them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.paths import KAFKA, LOGS, POLICY
from deploy.local.ports import url
from deploy.local.postgres import Postgres, lasting_home
from deploy.local.server import Server
from deploy.local.services import installed_services
from deploy.local.state import Secrets, State, probes_of
from deploy.local.supervisor import Part


@dataclass(frozen=True)
class Stack:
    """All parts, in the order in which they are started."""

    kafka: Kafka
    postgres: Postgres
    servers: Sequence[Server]
    variables: Mapping[str, str]

    @property
    def parts(self) -> Sequence[Part]:
        """Kafka, PostgreSQL and the servers."""
        return [self.kafka, self.postgres, *self.servers]


def build(state: State, secrets: Secrets, jars: Sequence[Path] = ()) -> Stack:
    """The stack on the ports of `state`; nothing is started. `jars` are Kafka's and needed only to
    start it.
    """
    state.choose_ports()  # a saved state may be older than a part
    kafka = Kafka(
        jars, KAFKA, LOGS / "kafka.log", state.ports["kafka"], state.ports["kafka_controller"]
    )
    postgres = Postgres(lasting_home(), LOGS / "postgres.log")
    variables = _variables(state.ports, secrets, kafka, postgres)
    inherited = {**os.environ, **variables}
    commands = {"inbox": ["deploy.local.inbox"]}
    commands |= {name: ["shared.runtime.cli", name, "serve"] for name in installed_services()}
    commands["canary"] = ["shared.runtime.cli", "canary"]
    servers = [
        Server(
            *(name, arguments, state.ports[name], inherited, LOGS / f"{name}.log"),
            probes_port=state.ports.get(probes_of(name)),
        )
        for name, arguments in commands.items()
    ]
    return Stack(kafka, postgres, servers, variables)


def _variables(
    ports: Mapping[str, int], secrets: Secrets, kafka: Kafka, postgres: Postgres
) -> dict[str, str]:
    return {
        "TOCSIN_KAFKA": kafka.bootstrap,
        "TOCSIN_POSTGRES": postgres.dsn(user="tocsin_{service}"),
        "TOCSIN_POSTGRES_ADMIN": postgres.dsn(),
        "TOCSIN_INSTANCE": "local",
        "TOCSIN_HTTP_HOST": "127.0.0.1",
        "TOCSIN_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "TOCSIN_POLICY_DIR": str(POLICY),
        "TOCSIN_PUBLIC_URL": url(ports["escalation"]),
        "TOCSIN_ESCALATION_URL": url(ports["escalation"]),
        "TOCSIN_CONSOLE_URL": url(ports["reporting"]),
        "TOCSIN_INTAKE_URL": url(ports["intake"]),
        "TOCSIN_INBOX_URL": url(ports["inbox"]),
        "TOCSIN_SMTP": f"smtp://127.0.0.1:{ports['inbox_smtp']}",
        "TOCSIN_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "TOCSIN_SECRET_KEY": secrets.secret_key,
        "TOCSIN_API_TOKEN": secrets.api_token,
        "TOCSIN_WEBHOOK_SECRET": secrets.webhook_secret,
        "TOCSIN_INTEGRATION_KEY": secrets.integration_key or "",
        "TOCSIN_CANARY_URL": url(ports["canary"]),
        "TOCSIN_CANARY_PORT": str(ports["canary"]),
        "TOCSIN_CANARY_NAME": "local",
        "TOCSIN_CANARY_KEY": secrets.integration_key or "",
    }
