"""A broker as in production: TLS with a private CA, SCRAM and OAUTHBEARER, and an authorizer."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import jars, ports
from deploy.local.kafka import Kafka
from deploy.local.paths import JARS
from shared.kafka.access.grants import all_grants
from shared.kafka.security import Mechanism, Security
from tests.support.certificates import Certificate, authority, signed_by
from tests.support.tokens import AUDIENCE, ISSUER, Issuer

ADMIN, STRANGER = "admin", "stranger"
MECHANISMS: Sequence[Mechanism] = ("SCRAM-SHA-512", "SCRAM-SHA-256")
"""The administrator can use both, everybody else the first."""
_OAUTH = "listener.name.secured"
_HANDLER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
_LOGIN = "org.apache.kafka.common.security"


def password_of(user: str) -> str:
    """The password that every user begins with."""
    return f"the first password of {user}"


def names_of_roles() -> list[str]:
    """The users of all roles, as `tocsin acls` names them."""
    return [f"tocsin-{role}" for role in dict.fromkeys(grant.role for grant in all_grants())]


class SecuredKafka(Kafka):
    """Two listeners: `bootstrap` is plain, for the tests themselves, who are a super user there;
    `secured` has TLS and SASL. Users of SCRAM are created with the storage.
    """

    def __init__(self, home: Path, users: Sequence[str]) -> None:
        chosen = ports.choose(3)
        super().__init__(jars.fetch(JARS), home, home / "kafka.log", *chosen[:2])
        self._port = chosen[2]
        self.secured = f"127.0.0.1:{self._port}"
        self.ca = authority(home / "ca")
        self.issuer = Issuer(home / "issuer")
        self._keystore = home / "keystore.pem"
        certificate = signed_by(self.ca, home / "broker")
        self._keystore.write_text(certificate.key.read_text() + certificate.path.read_text())
        url = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
        self.java_options = [f"-D{url}={self.issuer.jwks.as_uri()}"]
        self.format_options = [
            option
            for user in (ADMIN, *users)
            for mechanism in (MECHANISMS if user == ADMIN else MECHANISMS[:1])
            for option in ("--add-scram", f"{mechanism}=[name={user},password={password_of(user)}]")
        ]

    def settings(self) -> dict[str, object]:
        """The broker's properties."""
        plain = super().settings()
        secured = f"SECURED://{self.secured}"
        scram, oauth = f"{_LOGIN}.scram.ScramLoginModule", f"{_LOGIN}.oauthbearer"
        return {
            **plain,
            "listeners": f"{plain['listeners']},{secured}",
            "advertised.listeners": f"{plain['advertised.listeners']},{secured}",
            "listener.security.protocol.map": f"{plain['listener.security.protocol.map']}"
            ",SECURED:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{ADMIN}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keystore,
            "sasl.enabled.mechanisms": ",".join((*MECHANISMS, "OAUTHBEARER")),
            **{
                f"{_OAUTH}.{mechanism.lower()}.sasl.jaas.config": f"{scram} required;"
                for mechanism in MECHANISMS
            },
            f"{_OAUTH}.oauthbearer.sasl.jaas.config": f"{oauth}.OAuthBearerLoginModule required;",
            f"{_OAUTH}.oauthbearer.sasl.server.callback.handler.class": _HANDLER,
            f"{_OAUTH}.sasl.oauthbearer.jwks.endpoint.url": self.issuer.jwks.as_uri(),
            f"{_OAUTH}.sasl.oauthbearer.expected.issuer": ISSUER,
            f"{_OAUTH}.sasl.oauthbearer.expected.audience": AUDIENCE,
        }

    def security(self, user: str, mechanism: Mechanism = "SCRAM-SHA-512") -> Security:
        """How a user connects who has the first password."""
        return Security("SASL_SSL", self.ca.path, mechanism, user, password_of(user))

    def set_password(self, user: str, password: str) -> None:
        """Replace a user's password, by Kafka's own tool."""
        change = ",".join(f"{mechanism}=[password={password}]" for mechanism in MECHANISMS)
        command = self._java(
            *("kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap, "--alter"),
            *("--add-config", change, "--entity-type", "users", "--entity-name", user),
        )
        subprocess.run(command, check=True, capture_output=True)

    def use_certificate_of(self, ca: Certificate) -> None:
        """Present a certificate of another CA from the next start on."""
        folder = Path(tempfile.mkdtemp(dir=self.home)) / "broker"
        certificate = signed_by(ca, folder)
        self._keystore.write_text(certificate.key.read_text() + certificate.path.read_text())


@contextmanager
def secured_kafka(users: Sequence[str] = ()) -> Iterator[SecuredKafka]:
    """A new broker that is stopped after the block. Its users are those of all roles, a stranger,
    and others.
    """
    home = Path(tempfile.mkdtemp(prefix="tocsin-kafka-"))
    try:
        broker = SecuredKafka(home, [*names_of_roles(), STRANGER, *users])
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
