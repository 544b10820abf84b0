"""The cluster as its users see it: by kubectl, and by the addresses of pods."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from deploy.kubernetes.rehearsal.shell import Failed, run, until

NAMESPACE = "tocsin"
Json = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """`config` is the administrator's kubeconfig."""

    config: str

    def kubectl(self, *arguments: str | Path, stdin: str = "") -> str:
        """What it prints. Raises Failed."""
        return run("kubectl", "--kubeconfig", self.config, *arguments, stdin=stdin)

    def apply(self, documents: Iterable[Json], *options: str) -> None:
        """Server-side, where a warning is an error: pod security warns of a Deployment whose pods
        it would refuse.
        """
        text = yaml.safe_dump_all(documents)
        self.kubectl(
            *("--warnings-as-errors", "apply", "--server-side", "--filename", "-", *options),
            stdin=text,
        )

    def list(self, kind: str, selector: str = "") -> list[Json]:
        """Objects in the namespace of Tocsin."""
        get = ("--namespace", NAMESPACE, "get", kind, "--selector", selector, "--output", "json")
        found: list[Json] = json.loads(self.kubectl(*get))["items"]
        return found

    def pod(self, name: str) -> Json:
        """The newest pod with that `app.kubernetes.io/name` that is not going. Raises Failed."""
        pods = [
            pod
            for pod in self.list("pods", f"app.kubernetes.io/name={name}")
            if "deletionTimestamp" not in pod["metadata"]
        ]
        if not pods:
            raise Failed(f"there is no pod of {name}")
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def readiness(self, service: str) -> Json:
        """What `/readyz` of a service says. Raises Failed when it does not answer."""
        address = self.pod(service)["status"].get("podIP")
        url = f"http://{address}:8090/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found: Json = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        except OSError as error:
            raise Failed(f"{url}: {error}") from None
        return found

    def wait_until_ready(self, *names: str, seconds: float) -> None:
        """Until the newest pod of each is ready. Raises Failed with what they lack."""
        for name in names:
            until(f"{name} is ready", partial(self._is_ready, name), seconds)

    def restarts(self, name: str) -> dict[str, int]:
        """How often containers had to start again, by pod of that `app.kubernetes.io/name`."""
        return {
            pod["metadata"]["name"]: sum(
                status["restartCount"] for status in pod["status"].get("containerStatuses", [])
            )
            for pod in self.list("pods", f"app.kubernetes.io/name={name}")
        }

    def _is_ready(self, name: str) -> bool:
        pod = self.pod(name)
        conditions = {
            condition["type"]: condition["status"]
            for condition in pod["status"].get("conditions", [])
        }
        if conditions.get("Ready") != "True":
            raise Failed(json.dumps(pod["status"].get("containerStatuses", conditions)))
        return True


def kustomize(folder: Path) -> list[Json]:
    """The documents of a kustomization."""
    return [one for one in yaml.safe_load_all(run("kubectl", "kustomize", folder)) if one]
