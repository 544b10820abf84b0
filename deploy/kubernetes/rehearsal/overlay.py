"""The small overlay as the rehearsal runs it: images from here, ports on the node, volumes in a
folder, the policies of the local stack, and a canary.
"""

import os
import secrets
import shutil
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.kubernetes.paths import MANIFESTS
from deploy.kubernetes.rehearsal.cluster import NAMESPACE
from deploy.kubernetes.rehearsal.node import ADDRESS, SERVICE_NETWORK
from deploy.local.paths import POLICY

SERVICES = ("intake", "triage", "escalation", "reporting")
PORTS = {"intake": 30080, "escalation": 30082, "reporting": 30083}
"""Of the services that others reach, on the node."""
INBOX_PORT = 18025
USER = 10001
"""Of the server images that are built here."""
_STORES = {"postgres": "10Gi", "kafka": "20Gi"}
Json = dict[str, Any]


def write_overlay(folder: Path, digests: Mapping[str, str]) -> None:
    """A kustomization on top of overlays/small. `digests` are those of the images, by name."""
    (folder / "policy").mkdir(parents=True)
    policies = sorted(POLICY.glob("*.yaml"))
    for file in policies:
        shutil.copy(file, folder / "policy")
    inbox = f"http://{ADDRESS}:{INBOX_PORT}"
    settings = {
        "TOCSIN_PUBLIC_URL": f"http://{ADDRESS}:{PORTS['escalation']}",  # the canary is a pod
        "TOCSIN_CONSOLE_URL": f"http://127.0.0.1:{PORTS['reporting']}",
        "TOCSIN_INBOX_URL": inbox,
        "TOCSIN_CANARY_URL": "http://tocsin-canary",
        "TOCSIN_ALLOWED_NETWORKS": f"{ADDRESS}/32,{SERVICE_NETWORK}",
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": [os.path.relpath(MANIFESTS / "overlays" / "small", folder)],
        "components": [os.path.relpath(MANIFESTS / "components" / "canary", folder)],
        "images": [_image(name, digest) for name, digest in digests.items()],
        "configMapGenerator": [
            {
                "name": "tocsin-settings",
                "behavior": "merge",
                "literals": [f"{name}={value}" for name, value in settings.items()],
            },
            {
                "name": "tocsin-policy",
                "behavior": "replace",
                "files": [f"policy/{file.name}" for file in policies],
                "options": {"disableNameSuffixHash": True},
            },
        ],
        "patches": [*map(_node_port, PORTS), *map(_as_user, _STORES)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))


def _image(name: str, digest: str) -> Json:
    committed = {
        "tocsin-kafka": "docker.io/apache/kafka",
        "tocsin-postgres": "docker.io/library/postgres",
        "tocsin-canary": "tocsin-canary",  # as its component has it
    }
    return {
        "name": committed.get(name, f"registry.example.com/{name}"),
        "newName": f"localhost/{name}",
        "digest": digest,
    }


def _node_port(service: str) -> Json:
    operations: list[Json] = [
        {"op": "add", "path": "/spec/type", "value": "NodePort"},
        {"op": "add", "path": "/spec/ports/0/nodePort", "value": PORTS[service]},
    ]
    return _patch("Service", f"tocsin-{service}", operations)


def _as_user(store: str) -> Json:
    context = "/spec/template/spec/securityContext"
    operations = [
        {"op": "replace", "path": f"{context}/{field}", "value": USER}
        for field in ("runAsUser", "runAsGroup", "fsGroup")
    ]
    return _patch("StatefulSet", f"tocsin-{store}", operations)


def _patch(kind: str, name: str, operations: list[Json]) -> Json:
    return {"target": {"kind": kind, "name": name}, "patch": yaml.safe_dump(operations)}


def volumes(folder: Path) -> list[Json]:
    """A volume for each store, below a folder of the node."""
    made = []
    for store, size in _STORES.items():
        place = folder / store
        place.mkdir(parents=True)
        os.chown(place, USER, USER)
        claim = {"namespace": NAMESPACE, "name": f"data-tocsin-{store}-0"}
        spec = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": str(place)},
            "claimRef": claim,
        }
        metadata = {"name": f"rehearsal-{store}"}
        made.append(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
        )
    return made


def new_secrets() -> dict[str, dict[str, str]]:
    """The Secrets that docs/kubernetes.md asks for, by name."""
    found = {
        f"tocsin-{service}-postgres": {
            "username": f"tocsin_{service}",
            "password": secrets.token_hex(16),
        }
        for service in SERVICES
    }
    found["tocsin-postgres-admin"] = {"username": "postgres", "password": secrets.token_hex(16)}
    found["tocsin-escalation-keys"] = {
        "secret-key": secrets.token_urlsafe(32),
        "api-token": secrets.token_urlsafe(32),
        "webhook-secret": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
        "smtp": f"smtp://{ADDRESS}:{INBOX_PORT + 1}",
    }
    return found


def secret_documents(made: Mapping[str, Mapping[str, str]]) -> list[Json]:
    """The same as manifests."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": dict(values),
        }
        for name, values in made.items()
    ]
