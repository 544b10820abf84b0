"""Tocsin in the cluster, from locally built images."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.kubernetes.rehearsal.admission import apply_from_namespace_on
from deploy.kubernetes.rehearsal.cluster import NAMESPACE, Cluster, kustomize
from deploy.kubernetes.rehearsal.figures import Figures
from deploy.kubernetes.rehearsal.overlay import (
    PORTS,
    SERVICES,
    new_secrets,
    secret_documents,
    volumes,
    write_overlay,
)
from deploy.kubernetes.rehearsal.shell import Failed, until

_LAST = "StatefulSet", "Job"
"""Kinds that are applied last: what the services wait for."""
_WAITING_SECONDS, _READY_SECONDS = 120, 300


@dataclass
class Installation:
    """`folder` is for the overlay and the volumes."""

    cluster: Cluster
    folder: Path
    figures: Figures
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=new_secrets)

    def start(self, digests: Mapping[str, str]) -> None:
        """Services first: they wait, and say for what. Then what they need."""
        overlay = self.folder / "overlay"
        write_overlay(overlay, digests)
        documents = kustomize(overlay)
        last = [one for one in documents if one["kind"] in _LAST]
        first = [one for one in documents if one not in last]
        apply_from_namespace_on(self.cluster, [*first, *secret_documents(self.secrets)])
        with self.figures.timed("services alone: all of them live, unready, and say why"):
            for service in SERVICES:
                until(f"{service} waits", partial(self._waits, service), _WAITING_SECONDS)
        self.cluster.apply(volumes(self.folder / "volumes"))
        with self.figures.timed("then Kafka, PostgreSQL and the Jobs: everything ready"):
            self.cluster.apply(last)
            self.wait_until_ready()
        self.check_restarts()

    def wait_until_ready(self) -> None:
        """Raises Failed with what is missing."""
        self.cluster.wait_until_ready("postgres", "kafka", *SERVICES, seconds=_READY_SECONDS)

    def check_restarts(self, **expected: int) -> None:
        """No container of a service has been started again, but so often those that are named."""
        counts = {
            service: sum(count for pod, count in self.cluster.restarts(service).items())
            for service in SERVICES
        }
        if any(count > expected.get(service, 0) for service, count in counts.items()):
            raise Failed(f"containers were started again: {counts}, expected {expected}")
        total = str(sum(counts.values()))
        self.figures.note("containers of services that had to start again so far", total)

    def tocsin(self, service: str, *arguments: str) -> str:
        """What a command prints that runs in the service's pod. Raises Failed."""
        pod = self.cluster.pod(service)["metadata"]["name"]
        return self.cluster.kubectl(
            "--namespace", NAMESPACE, "exec", pod, "--", "tocsin", *arguments
        )

    def dsn(self, service: str = "") -> str:
        """Of a service's role; without one of the administrator's."""
        name = f"tocsin-{service}-postgres" if service else "tocsin-postgres-admin"
        login = self.secrets[name]
        address = self.cluster.pod("postgres")["status"]["podIP"]
        return f"postgresql://{login['username']}:{login['password']}@{address}/tocsin"

    def url(self, service: str) -> str:
        """Where the node passes requests on to it."""
        return f"http://127.0.0.1:{PORTS[service]}"

    def memory(self) -> dict[str, int]:
        """Bytes in use by each pod (its working set), by the name of what runs in it."""
        text = self.cluster.kubectl("get", "--raw", "/api/v1/nodes/rehearsal/proxy/stats/summary")
        found: dict[str, int] = {}
        for pod in json.loads(text)["pods"]:
            if pod["podRef"]["namespace"] == NAMESPACE and "memory" in pod:
                found[pod["podRef"]["name"]] = pod["memory"].get("workingSetBytes", 0)
        return found

    def kill_process(self, service: str) -> None:
        """SIGKILL to the service's process, from the node; returns when it has started again."""
        before = sum(self.cluster.restarts(service).values())
        found = subprocess.run(
            ["pgrep", "--full", f"/tocsin {service} serve"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        ).stdout.split()
        if not found:
            raise Failed(f"there is no process of {service}")
        subprocess.run(["kill", "-KILL", *found], check=True)
        until(
            f"{service} starts again",
            lambda: sum(self.cluster.restarts(service).values()) > before,
            _WAITING_SECONDS,
        )

    def delete_pod(self, name: str) -> None:
        """At once, without a graceful stop."""
        pod = self.cluster.pod(name)["metadata"]["name"]
        self.cluster.kubectl(
            *("--namespace", NAMESPACE, "delete", "pod", pod, "--grace-period=0", "--force")
        )

    def replace(self, service: str) -> None:
        """A rolling update to new pods. Returns when it is complete. Raises Failed."""
        rollout = ("--namespace", NAMESPACE, "rollout")
        name = f"deployment/tocsin-{service}"
        self.cluster.kubectl(*rollout, "restart", name)
        self.cluster.kubectl(*rollout, "status", name, "--timeout=180s")

    def _waits(self, service: str) -> bool:
        found = self.cluster.readiness(service)
        if found["ready"]:
            raise Failed(f"{service} is ready without Kafka and PostgreSQL")
        return bool(found["problems"])
