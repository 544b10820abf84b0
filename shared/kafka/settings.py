"""The settings of every Kafka client."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from shared.kafka.security import Cluster, Mechanism, Protocol, Security

_ROLE = "{role}"


class KafkaSettings(BaseSettings):
    """Where Kafka is, and who connects. In a user name and the paths of secrets `{role}` stands for
    the service, or for the role of a command (`operator`, `provisioner`).
    """

    kafka: str = Field(
        default="localhost:9092", description="bootstrap servers, host:port[,host:port]"
    )
    topic_prefix: str = Field(default="", description="put before every topic and consumer group")
    kafka_security_protocol: Protocol = Field(
        default="PLAINTEXT", description="Kafka's security.protocol"
    )
    kafka_ca_file: Path | None = Field(
        default=None, description="PEM file of the CAs that brokers' certificates are verified with"
    )
    kafka_sasl_mechanism: Mechanism = Field(
        default="SCRAM-SHA-512", description="Kafka's sasl.mechanism"
    )
    kafka_username: str = Field(default=f"tocsin-{_ROLE}", description="user of SCRAM")
    kafka_password: SecretStr | None = Field(default=None, description="password of SCRAM")
    kafka_password_file: Path | None = Field(
        default=None, description="file that holds it, in place of TOCSIN_KAFKA_PASSWORD"
    )
    kafka_token_file: Path | None = Field(
        default=None, description="file that holds the token for OAUTHBEARER"
    )

    def kafka_security(self, role: str) -> Security:
        """How a service, or a command in a role, connects to Kafka."""
        password = self.kafka_password.get_secret_value() if self.kafka_password else ""
        return Security(
            self.kafka_security_protocol,
            self.kafka_ca_file,
            self.kafka_sasl_mechanism,
            self.kafka_username.replace(_ROLE, role),
            _path(self.kafka_password_file, role) or password,
            _path(self.kafka_token_file, role),
        )

    def kafka_cluster(self, role: str) -> Cluster:
        """The Kafka that a service connects to."""
        return Cluster(self.kafka, self.topic_prefix, security=self.kafka_security(role))

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSettings":
        """Nobody is to believe that a connection is secured, and it is not."""
        credentials = self.kafka_password or self.kafka_password_file or self.kafka_token_file
        if self.kafka_security_protocol.startswith("SASL"):
            if self.kafka_sasl_mechanism == "OAUTHBEARER":
                self._need("TOCSIN_KAFKA_TOKEN_FILE", self.kafka_token_file)
            else:
                secret = self.kafka_password_file or self.kafka_password
                self._need("TOCSIN_KAFKA_PASSWORD_FILE (or TOCSIN_KAFKA_PASSWORD)", secret)
        elif credentials:
            raise ValueError(self._wrong_protocol("SASL_SSL where there are credentials for Kafka"))
        if self.kafka_ca_file and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError(self._wrong_protocol("SASL_SSL or SSL where there is a CA file"))
        return self

    def _wrong_protocol(self, expected: str) -> str:
        found = self.kafka_security_protocol
        return f"TOCSIN_KAFKA_SECURITY_PROTOCOL: must be {expected}, and is {found}"

    def _need(self, setting: str, value: object) -> None:
        if not value:
            raise ValueError(f"{setting} is not set, and {self.kafka_sasl_mechanism} needs it")


def _path(path: Path | None, role: str) -> Path | None:
    return path and Path(str(path).replace(_ROLE, role))
