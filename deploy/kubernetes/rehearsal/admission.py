"""Everything that is committed is applied to a real API server, which checks it."""

from collections.abc import Sequence

from deploy.kubernetes.crds import crd_files, stand_ins
from deploy.kubernetes.paths import MANIFESTS
from deploy.kubernetes.rehearsal.cluster import NAMESPACE, Cluster, Json, kustomize
from deploy.kubernetes.rehearsal.figures import Figures
from deploy.kubernetes.rehearsal.shell import Failed, until

OVERLAYS = tuple(
    sorted(
        folder.parent.name
        for folder in (MANIFESTS / "overlays").glob("*/kustomization.yaml")
        if folder.parent.name != "namespace"
    )
)
_CONTROLLERS = "deployments", "jobs", "statefulsets"


def install_crds(cluster: Cluster, figures: Figures) -> None:
    """Those of the operators, from their projects' packages; and stand-ins for the rest."""
    files = crd_files()
    with figures.timed(f"{len(files)} files of CustomResourceDefinitions installed"):
        for file in files:
            cluster.kubectl("apply", "--server-side", "--filename", file)
        cluster.apply(stand_ins())
        cluster.kubectl("wait", "--for=condition=Established", "crds", "--all")


def check_overlay(cluster: Cluster, name: str, figures: Figures) -> None:
    """Apply an overlay as it is committed, and see that all of its pods are admitted."""
    documents = kustomize(MANIFESTS / "overlays" / name)
    with figures.timed(f"overlay {name} applied without a warning, {len(documents)} objects"):
        apply_from_namespace_on(cluster, documents)
    with figures.timed(f"overlay {name}: the pods of all controllers admitted"):
        until("every controller has its pods", lambda: _all_admitted(cluster), 60)
    with figures.timed(f"overlay {name} deleted"):
        cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=180s")


def apply_from_namespace_on(cluster: Cluster, documents: Sequence[Json]) -> None:
    """The namespace, and what is in it once it can be used."""
    namespaces = [one for one in documents if one["kind"] == "Namespace"]
    cluster.apply(namespaces)
    account = ("--namespace", NAMESPACE, "get", "serviceaccount", "default")
    until("the namespace can be used", lambda: cluster.kubectl(*account), 30)
    cluster.apply([one for one in documents if one not in namespaces])


def _all_admitted(cluster: Cluster) -> bool:
    for kind in _CONTROLLERS:
        for controller in cluster.list(kind):
            name = controller["metadata"]["labels"]["app.kubernetes.io/name"]
            if not cluster.list("pods", f"app.kubernetes.io/name={name}"):
                raise Failed(f"no pod of {kind} {name}")
    return True
