"""Why Kafka refuses a client, and how to fix it: in words for readiness, logs and commands.

aiokafka says only that no broker could be reached, and logs the cause. So a connection is made once
more, to see its error.
"""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from shared.kafka.security import CredentialsError, Security

_PROBE_MILLISECONDS = 3000
_WRONG_NAME = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_REFUSED = {
    TopicAuthorizationFailedError: "topic",
    GroupAuthorizationFailedError: "group",
    TransactionalIdAuthorizationFailed: "transactional id",
}
_GRANT = "see `tocsin acls list`; `tocsin acls apply` adds what is missing"


class KafkaRefusal(KafkaError):  # type: ignore[misc]
    """Kafka cannot be used; the text says why, and how to fix it. `away`: no broker answers, which
    may pass by itself.
    """

    def __init__(self, text: str, away: bool = False) -> None:
        super().__init__(text)
        self.away = away

    def __str__(self) -> str:
        return str(self.args[0])


@asynccontextmanager
async def explained(bootstrap: str, security: Security) -> AsyncIterator[None]:
    """Raises KafkaRefusal in place of an error that has an explanation."""
    try:
        yield
    except KafkaRefusal:
        raise
    except (KafkaError, OSError) as error:
        if reason := await explain(error, bootstrap, security):
            raise reason from error
        raise


async def explain(error: Exception, bootstrap: str, security: Security) -> KafkaRefusal | None:
    """Why a client failed, if it is refused or no broker answers.

    Connects to the brokers if the error does not say it itself.
    """
    if reason := refusal(error, security):
        return KafkaRefusal(reason)
    if isinstance(error, BrokerResponseError) and not error.retriable:
        return None
    return await _probe(bootstrap, security)


def refusal(error: Exception, security: Security) -> str:
    """What an authorizer refused, in words; "" if the error is of another kind."""
    if isinstance(error, ClusterAuthorizationFailedError):  # of an idempotent producer
        return f"{security.principal} may not write to any topic, nor use the cluster: {_GRANT}"
    for kind, noun in _REFUSED.items():
        if isinstance(error, kind):
            return f"{security.principal} has no access to {noun} {_names(error)}: {_GRANT}"
    return ""


def _names(error: Exception) -> str:
    named = error.args[0] if error.args else "(unnamed)"
    return named if isinstance(named, str) else ", ".join(sorted(map(str, named)))


async def _probe(bootstrap: str, security: Security) -> KafkaRefusal | None:
    """Why no connection can be made, to a bootstrap server or then to the brokers that it names;
    None if all can be made now.
    """
    problem = None
    for host, port, _ in collect_hosts(bootstrap):
        try:
            for _, advertised, its_port, _ in await _brokers(host, port, security):
                host, port = advertised, its_port
                await _brokers(host, port, security)
        except (KafkaError, OSError) as error:
            reason = _connection_problem(error, security)
            text = f"{host}:{port}: {reason or f'no broker answers ({_text(error)})'}"
            problem = KafkaRefusal(text, away=not reason)
            if not problem.away:
                break
        else:
            return None
    return problem


async def _brokers(host: str, port: int, security: Security) -> Sequence[tuple[Any, ...]]:
    """The brokers that one of them names, to whoever it lets in."""
    connection = await create_conn(
        host, port, request_timeout_ms=_PROBE_MILLISECONDS, **security.options()
    )
    try:  # a listener with SASL answers until here to those who do not use it
        answer = await connection.send(MetadataRequest([]))
    finally:
        connection.close()
    brokers: Sequence[tuple[Any, ...]] = answer.brokers
    return brokers


def _text(error: Exception) -> str:
    return str(error) or type(error).__qualname__


def _connection_problem(error: Exception, security: Security) -> str:
    """Why a broker does not let this client in; "" if it was not reached."""
    match error:
        case CredentialsError():
            return str(error)
        case ssl.SSLCertVerificationError() if error.verify_code in _WRONG_NAME:
            return (
                f"the broker's certificate is for another name ({error.verify_message}): connect "
                "by a name that it has, in TOCSIN_KAFKA and in the broker's advertised.listeners"
            )
        case ssl.SSLCertVerificationError():
            return (
                f"the broker's certificate is not trusted ({error.verify_message}): set "
                "TOCSIN_KAFKA_CA_FILE to the certificate of the CA that signed it"
            )
        case SaslAuthenticationFailed():
            return _refused_credentials(security)
        case UnsupportedSaslMechanismError():
            return (
                f"the broker has no {security.mechanism}: set TOCSIN_KAFKA_SASL_MECHANISM to one "
                "that this listener has"
            )
        case (
            ssl.SSLError()
            | IllegalSaslStateError()
            | KafkaConnectionError()
            | ConnectionResetError()
        ):
            return _wrong_listener(security)
    return ""


def _refused_credentials(security: Security) -> str:
    if security.mechanism == "OAUTHBEARER":
        return (
            f"the broker refused the token of {security.principal}: see that the token in "
            "TOCSIN_KAFKA_TOKEN_FILE has not expired, and has the issuer and the audience that the "
            "broker expects"
        )
    return (
        f"the broker refused the password of {security.principal} ({security.mechanism}): check "
        "TOCSIN_KAFKA_USERNAME and TOCSIN_KAFKA_PASSWORD or TOCSIN_KAFKA_PASSWORD_FILE"
    )


def _wrong_listener(security: Security) -> str:
    return (
        f"the listener does not speak {security.protocol}: check the port in TOCSIN_KAFKA and "
        "TOCSIN_KAFKA_SECURITY_PROTOCOL"
    )
