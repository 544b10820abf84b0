"""The images as a platform team runs them: read-only, without rights, by their commands alone."""

import socket
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from deploy.images import IMAGES
from shared.kafka.topics import TOPICS
from tests.support import stack
from tests.support.containers import TOCSIN_IMAGES, need_docker
from tests.support.running import SERVICES
from tests.support.version import Version

RESTRICTED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
every_image = pytest.mark.parametrize("name", IMAGES)


@pytest.fixture(scope="module")
def daemon(in_containers: bool) -> docker.DockerClient:
    if not in_containers:
        pytest.skip("needs images: make images, then --stack=containers")
    need_docker()
    return docker.from_env()


@pytest.fixture
def started(daemon: docker.DockerClient) -> Iterator[Any]:
    """Starts a restricted container; all are removed at the end."""
    containers: list[Container] = []

    def start(name: str, *arguments: str, **options: Any) -> Container:
        image = TOCSIN_IMAGES.format(name)
        options = {"network_mode": "none", **RESTRICTED, **options}
        containers.append(daemon.containers.run(image, arguments, detach=True, **options))
        return containers[-1]

    yield start
    for container in containers:
        container.remove(force=True)


@every_image
def test_an_image_is_small_labelled_and_of_no_privileged_user(
    daemon: docker.DockerClient, name: str
) -> None:
    image = daemon.images.get(TOCSIN_IMAGES.format(name))
    assert image.attrs["Size"] < 200e6
    assert image.attrs["Config"]["User"] == "10001:10001"
    labels = {key.rpartition(".")[2]: text for key, text in image.labels.items()}
    assert labels["title"] == f"tocsin-{name}"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] not in ("", "unknown")


@every_image
def test_an_image_has_the_commands_of_its_service_alone(started: Any, name: str) -> None:
    container = started(name, "--help", environment={"COLUMNS": "200"})
    assert container.wait()["StatusCode"] == 0
    listed = {
        line.split()[1] for line in container.logs().decode().splitlines() if line.startswith("│ ")
    }
    groups = {"topics", "policy", "dead-letters"}
    own = {"escalation": {"incidents"}, "reporting": {"incidents", "audit"}}.get(name, set())
    assert listed & {*IMAGES, "incidents", "audit", *groups, "up"} == {name, *own, *groups}


def test_bytecode_is_never_compared_with_the_time_of_its_source(started: Any) -> None:
    """Else a start on a read-only file system compiles everything again."""
    program = (
        "import sys, shared.runtime.cli, services.intake.app;"
        "caches = [getattr(it, '__cached__', None) for it in list(sys.modules.values())];"
        "read = [open(cache, 'rb').read(8)[4] for cache in caches if cache];"
        "print(len(read), set(read))"
    )
    container = started("intake", "-c", program, entrypoint="python")
    assert container.wait()["StatusCode"] == 0, container.logs()
    count, _, flags = container.logs().decode().strip().partition(" ")
    assert int(count) > 1000
    assert flags == "{1}"  # PEP 552: by a hash that is not checked


def test_a_service_that_is_process_1_ends_by_sigterm(started: Any) -> None:
    container = started("intake", environment={"TOCSIN_KAFKA": "127.0.0.1:1"})
    stack.until(lambda: b'"listening"' in container.logs())
    container.stop(timeout=int(stack.PATIENCE_SECONDS))
    assert container.wait()["StatusCode"] == 0
    assert b'"stopped"' in container.logs()


def test_a_command_that_is_process_1_ends_by_sigterm(started: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres"
        container = started(
            *("intake", "intake", "migrate"),
            environment={"TOCSIN_POSTGRES_ADMIN": admin},
            network_mode="host",
        )
        silent.settimeout(stack.PATIENCE_SECONDS)
        connection, _ = silent.accept()  # and it waits for an answer that never comes
        container.stop(timeout=int(stack.PATIENCE_SECONDS))
        connection.close()
    assert container.wait()["StatusCode"] == 128 + 15


async def test_jobs_migrate_and_make_topics_from_images(
    daemon: docker.DockerClient, version: Version, kafka: str, postgres: str, topic_prefix: str
) -> None:
    admin = await stack.new_database(postgres)
    for service in SERVICES:
        migrated = [
            await version.run(service, "migrate", TOCSIN_POSTGRES_ADMIN=admin) for _ in range(2)
        ]
        assert f"{service}: the schema is up to date" not in migrated[0]
        assert f"{service}: the schema is up to date" in migrated[1]
    await stack.drop_database(postgres, stack.name_of(admin))

    settings = {"TOCSIN_KAFKA": kafka, "TOCSIN_TOPIC_PREFIX": topic_prefix}
    made, again = [await version.run("topics", "apply", **settings) for _ in range(2)]
    assert all(topic.name in made for topic in TOPICS)
    assert "all topics are as they should be" in again
