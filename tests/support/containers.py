"""Kafka, PostgreSQL and Tocsin in containers, for `--stack=containers`. Images are named by the
environment; a test is skipped where no Docker daemon answers.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy, LogMessageWaitStrategy

from deploy.local.ports import choose
from tests.support.version import THIS, Version

KAFKA_IMAGE = os.environ.get("TOCSIN_TEST_KAFKA_IMAGE", "apache/kafka:4.3.1")
POSTGRES_IMAGE = os.environ.get("TOCSIN_TEST_POSTGRES_IMAGE", "postgres:18")
TOCSIN_IMAGES = os.environ.get("TOCSIN_TEST_IMAGES", f"tocsin-{{}}:{version('tocsin')}")
"""Names of the images under test; {} is replaced by `intake` and so on."""
_MOUNTED = "/mnt/shared/config"  # where the image apache/kafka looks for properties
PROPERTIES = THIS.folder / "deploy" / "compose" / "kafka.properties"
# Read-only, without rights, as under Kubernetes' policy `restricted`; in the host's network, as the
# receivers of pages listen on loopback. Only what an image may need is taken over from the caller.
_TOCSIN = """#!/bin/sh
name=intake
for word in "$@"; do
  case $word in intake | triage | escalation | reporting | canary) name=$word && break ;; esac
done
exec docker run --rm --network host --read-only --tmpfs /tmp --cap-drop ALL \\
  --security-opt no-new-privileges --env TOCSIN_HTTP_HOST=127.0.0.1 \\
  $(env | sed -nE 's/^((TOCSIN|OTEL)_[A-Z0-9_]+)=.*/--env \\1/p') \\
  ${TOCSIN_POLICY_DIR:+--volume "$TOCSIN_POLICY_DIR:$TOCSIN_POLICY_DIR:ro"} "IMAGE" "$@"
"""


@cache
def need_docker() -> None:
    """Skip the test where no Docker daemon answers."""
    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon answers (DOCKER_HOST names it): {error}")
    testcontainers_config.ryuk_disabled = True  # containers end with their fixtures


@contextmanager
def kafka_container() -> Iterator[str]:
    """Bootstrap address of a broker in a container."""
    need_docker()
    (port,) = choose(1)
    properties = PROPERTIES.read_text().replace("127.0.0.1:9094", f"127.0.0.1:{port}")
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9094, port)
    container.with_copy_into_container(properties.encode(), f"{_MOUNTED}/server.properties")
    with container.waiting_for(LogMessageWaitStrategy("Kafka Server started")):
        yield f"127.0.0.1:{port}"


@contextmanager
def postgres_container() -> Iterator[str]:
    """Admin DSN of a server in a container, which asks for no passwords."""
    need_docker()
    container = DockerContainer(POSTGRES_IMAGE).with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    container.with_command("postgres -c fsync=off -c max_connections=200").with_exposed_ports(5432)
    # The server that upstream's image starts for its preparations has only a socket.
    with container.waiting_for(ExecWaitStrategy(["pg_isready", "--host=127.0.0.1"])) as server:
        yield f"postgresql://postgres@127.0.0.1:{server.get_exposed_port(5432)}/postgres"


@contextmanager
def containerised() -> Iterator[Version]:
    """Tocsin whose command runs in containers of the images."""
    need_docker()
    folder = Path(tempfile.mkdtemp(prefix="tocsin-images-"))
    command = folder / "tocsin"
    command.write_text(_TOCSIN.replace("IMAGE", TOCSIN_IMAGES.replace("{}", "$name")))
    command.chmod(0o755)
    yield Version(folder, command)
    shutil.rmtree(folder)
