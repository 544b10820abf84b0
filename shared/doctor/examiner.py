"""Asks Postgres, Kafka and HTTP endpoints, all at once, and each for a few seconds at most."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiokafka.errors import KafkaError

from shared.doctor.findings import (
    Finding,
    certificate_finding,
    database_findings,
    disk_finding,
    kafka_findings,
    lag_findings,
    problem,
    replica_findings,
    schema_findings,
    warning,
)
from shared.http.certificates import expiry_of, load_expiry
from shared.kafka.examination import KafkaState, load_kafka_state
from shared.kafka.topics import TOPICS
from shared.policy.retention import topics_by
from shared.postgres.connecting import each_host, host_of, load_certificate
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.examination import DatabaseState, examining, load_applied, load_state
from shared.postgres.migrate import list_migrations
from shared.runtime.clock import Clock
from shared.runtime.settings import Settings

_SECURE = {"https": 443, "smtps": 465}
Found = list[Finding]


class Examiner:
    """`probes` are addresses of services' `/readyz`. `seconds` bounds every single question."""

    def __init__(
        self,
        settings: Settings,
        services: Sequence[str],
        probes: Sequence[str],
        clock: Clock,
        seconds: float,
    ) -> None:
        self._settings = settings
        self._services = services
        self._probes = probes
        self._clock = clock
        self._seconds = seconds

    async def examine(self) -> Found:
        """Everything that was found, the good as well."""
        asking = [asyncio.create_task(self._database(service)) for service in self._services]
        found, kafka = await self._kafka()
        states: dict[str, DatabaseState] = {}
        for service, (about_it, state) in zip(
            self._services, await asyncio.gather(*asking), strict=True
        ):
            found += about_it
            if state:
                states[service] = state
        found += self._disks(states)
        if kafka:
            found += _topics(kafka, states)
        others = await asyncio.gather(
            *(self._ready(probe) for probe in self._probes),
            *(self._certificate(*endpoint) for endpoint in secure_endpoints(self._settings)),
            *(self._broker(*broker) for broker in (kafka.brokers if kafka else ())),
            *(self._server(server) for server in self._servers()),
        )
        return [*found, *chain.from_iterable(others)]

    async def _kafka(self) -> tuple[Found, KafkaState | None]:
        address, prefix = self._settings.kafka, self._settings.topic_prefix
        # The role that configures topics may describe all of them.
        security = self._settings.kafka_security("provisioner")
        try:
            async with asyncio.timeout(self._seconds):
                state = await load_kafka_state(address, prefix, TOPICS, security)
        except (KafkaError, OSError) as error:
            fix = "check TOCSIN_KAFKA, and whether the brokers run"
            return [problem("kafka", f"{address} does not answer: {reason(error)}", fix)], None
        text = f"{len(state.brokers)} brokers, {len(state.topics)} topics"
        return [Finding("good", "kafka", text)], state

    async def _database(self, service: str) -> tuple[Found, DatabaseState | None]:
        dsn = self._settings.dsn(service)
        try:
            async with asyncio.timeout(self._seconds), examining(dsn) as connection:
                applied = await load_applied(connection)
                found = [*schema_findings(service, list_migrations(service), applied)]
                if found:
                    return found, None
                state = await load_state(connection, service, applied)
        except UNAVAILABLE as error:
            fix = "check TOCSIN_POSTGRES, and whether the server runs"
            return [problem(service, f"its database does not answer: {reason(error)}", fix)], None
        return [*_summary(service, state), *self._state_findings(service, state)], state

    def _state_findings(self, service: str, state: DatabaseState) -> Iterator[Finding]:
        yield from database_findings(service, state, self._clock())
        yield from replica_findings(service, state.replicas, version("tocsin"))

    async def _ready(self, probe: str) -> Found:
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(probe) as answer:
                status, body = answer.status, await answer.content.read(65536)
        except (aiohttp.ClientError, OSError) as error:
            fix = "check the address, and whether the service runs"
            return [problem(probe, f"does not answer: {reason(error)}", fix)]
        if status == 200:
            return [Finding("good", probe, "ready")]
        return [problem(probe, f"answers {status}: {_problems(body)}", "see its log")]

    async def _certificate(self, about: str, host: str, port: int) -> Found:
        try:
            expires_at = await load_expiry(host, port)
        except ssl.SSLCertVerificationError as error:
            return [_untrusted(about, f"{host}:{port}", error, "SSL_CERT_FILE")]
        except OSError as error:
            text = f"{host}:{port} shows no certificate: {reason(error)}"
            return [problem(about, text, "check the address, and what listens there")]
        return [certificate_finding(f"{about} ({host})", expires_at, self._clock())]

    async def _broker(self, host: str, port: int) -> Found:
        """The certificate of a broker, by the address that it tells clients."""
        if not self._settings.kafka_security_protocol.endswith("SSL"):
            return []
        address = f"{host}:{port}"
        try:
            expires_at = await load_expiry(host, port, self._settings.kafka_ca_file)
        except ssl.SSLCertVerificationError as error:
            return [_untrusted("kafka", address, error, "TOCSIN_KAFKA_CA_FILE")]
        except OSError as error:
            text = f"the broker {address} does not answer: {reason(error)}"
            return [problem("kafka", text, "check its advertised.listeners, and whether it runs")]
        return [certificate_finding(f"kafka ({address})", expires_at, self._clock())]

    def _servers(self) -> list[str]:
        """A DSN for each host of Postgres."""
        dsns = map(self._settings.dsn, self._services)
        return list({host_of(one): one for dsn in dsns for one in each_host(dsn)}.values())

    async def _server(self, dsn: str) -> Found:
        """The certificate of a host of Postgres, be it the primary or a standby."""
        host, about = host_of(dsn), f"postgres ({host_of(dsn)})"
        try:
            async with asyncio.timeout(self._seconds):
                certificate = await load_certificate(dsn, "tocsin doctor")
        except ssl.SSLCertVerificationError as error:
            return [_untrusted("postgres", host, error, "sslrootcert in TOCSIN_POSTGRES")]
        except UNAVAILABLE as error:
            text = f"{host} does not answer: {reason(error)}"
            return [problem("postgres", text, "start it, or take it out of TOCSIN_POSTGRES")]
        if certificate is None:
            return []
        if not certificate:
            fix = "add sslmode=verify-full and sslrootcert to TOCSIN_POSTGRES"
            return [warning(about, "its certificate is not verified, so it may be anybody", fix)]
        return [certificate_finding(about, expiry_of(certificate), self._clock())]

    def _disks(self, states: Mapping[str, DatabaseState]) -> Iterator[Finding]:
        """Of each server, which several services may share."""
        shared: dict[str, list[str]] = {}
        for service, state in states.items():
            shared.setdefault(state.server, []).append(service)
        for services in shared.values():
            about = f"postgres of {', '.join(services)}"
            yield disk_finding(about, states[services[0]], self._settings.postgres_disk)


def reason(error: BaseException) -> str:
    """An error in a few words."""
    text = str(error).strip().partition("\n")[0]
    return "no answer in time" if isinstance(error, TimeoutError) else text or type(error).__name__


def secure_endpoints(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """The setting, host and port of every TLS endpoint that the settings name."""
    smtp = settings.smtp.get_secret_value() if settings.smtp else None
    addresses = {
        "TOCSIN_PUBLIC_URL": settings.public_url,
        "TOCSIN_CONSOLE_URL": settings.console_url,
        "TOCSIN_ESCALATION_URL": settings.escalation_url,
        "TOCSIN_TRACES_API": settings.traces_api,
        "TOCSIN_SMTP": smtp,
    }
    for name, address in addresses.items():
        parts = urlsplit(address or "")
        if parts.scheme in _SECURE and parts.hostname:
            yield name, parts.hostname, parts.port or _SECURE[parts.scheme]


def _topics(kafka: KafkaState, states: Mapping[str, DatabaseState]) -> Iterator[Finding]:
    """Compares topics with the retention that the services follow, and their ends with what the
    services have read.
    """
    policy = next((state.retention_policy for state in states.values()), "")
    yield from kafka_findings(kafka, topics_by(policy.encode()))
    for service, state in states.items():
        yield from lag_findings(service, state, kafka)


def _untrusted(
    about: str, address: str, error: ssl.SSLCertVerificationError, trust: str
) -> Finding:
    text = f"{address} is not trusted: {error.verify_message}"
    return problem(about, text, f"renew its certificate, or add its CA to {trust}")


def _summary(service: str, state: DatabaseState) -> Iterator[Finding]:
    running = len(state.replicas)
    text = f"PostgreSQL {state.version}, {state.bytes / 1e6:,.0f} MB, {running} replicas"
    yield Finding("good", service, text)


def _problems(body: bytes) -> str:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "not the answer of a Tocsin service"
    problems = document.get("problems", {}) if isinstance(document, dict) else {}
    return "; ".join(f"{part}: {', '.join(texts)}" for part, texts in problems.items())
