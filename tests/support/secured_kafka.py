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
from shared.kafka.access.acls import Acl, open_acls
from shared.kafka.access.grants import all_grants
from shared.kafka.security import PLAINTEXT, Mechanism, Security
from tests.support.certificates import authority, signed_by
from tests.support.tokens import AUDIENCE, ISSUER, Issuer

ADMIN, STRANGER, ROTATING = "admin", "stranger", "rotating"
"""A super user, one without any grant, and one whose password changes."""
MECHANISMS: Sequence[Mechanism] = ("SCRAM-SHA-512", "SCRAM-SHA-256")
"""Everybody can use the first, and one user both."""
_LISTENER = "listener.name.secured"
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
            for user in users
            for mechanism in (MECHANISMS if user == ROTATING else MECHANISMS[:1])
            for option in ("--add-scram", f"{mechanism}=[name={user},password={password_of(user)}]")
        ]

    def settings(self) -> dict[str, object]:
        """The broker's properties."""
        plain = super().settings()
        secured = f"SECURED://{self.secured}"
        scram = f"{_LOGIN}.scram.ScramLoginModule"
        oauth = f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule"
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
                f"{_LISTENER}.{mechanism.lower()}.sasl.jaas.config": f"{scram} required;"
                for mechanism in MECHANISMS
            },
            # The broker ends connections with the second, so that clients have to connect again.
            f"{_LISTENER}.scram-sha-256.connections.max.reauth.ms": 1000,
            f"{_LISTENER}.oauthbearer.sasl.jaas.config": f"{oauth} required;",
            f"{_LISTENER}.oauthbearer.sasl.server.callback.handler.class": _HANDLER,
            f"{_LISTENER}.sasl.oauthbearer.jwks.endpoint.url": self.issuer.jwks.as_uri(),
            f"{_LISTENER}.sasl.oauthbearer.expected.issuer": ISSUER,
            f"{_LISTENER}.sasl.oauthbearer.expected.audience": AUDIENCE,
        }

    def security(self, user: str, mechanism: Mechanism = "SCRAM-SHA-512") -> Security:
        """How a user connects who has the first password."""
        return Security("SASL_SSL", self.ca.path, mechanism, user, password_of(user))

    def token_security(self, user: str) -> Security:
        """The same with a token."""
        file = self.home / f"{user}.token"
        file.write_text(self.issuer.token(user))
        return Security("SASL_SSL", self.ca.path, "OAUTHBEARER", token_file=file)

    def set_password(self, user: str, password: str, mechanism: Mechanism) -> None:
        """Replace a user's password for a mechanism, by Kafka's own tool."""
        command = self._java(
            *("kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap, "--alter"),
            *("--add-config", f"{mechanism}=[password={password}]"),
            *("--entity-type", "users", "--entity-name", user),
        )
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def secured_kafka() -> Iterator[SecuredKafka]:
    """A new broker that is stopped after the block. Its users are those of all roles, and the three
    above.
    """
    home = Path(tempfile.mkdtemp(prefix="tocsin-kafka-"))
    try:
        broker = SecuredKafka(home, [ADMIN, STRANGER, ROTATING, *names_of_roles()])
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def allow(broker: SecuredKafka, *acls: Acl) -> None:
    """Add ACLs, which the broker has a moment later."""
    async with open_acls(broker.bootstrap, PLAINTEXT) as found:
        await found.add(acls)
