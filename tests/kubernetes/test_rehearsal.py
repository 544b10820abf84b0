"""The overlay that `make rehearse` runs is made of the committed one."""

from pathlib import Path

from deploy.kubernetes.rehearsal.cluster import kustomize
from deploy.kubernetes.rehearsal.images import NAMES
from deploy.kubernetes.rehearsal.overlay import PORTS, write_overlay
from tests.kubernetes.conftest import documents, name_of


def test_it_differs_in_images_ports_users_policies_and_a_canary_only(tmp_path: Path) -> None:
    folder = tmp_path / "overlay"
    write_overlay(folder, dict.fromkeys(NAMES, f"sha256:{'1' * 64}"))

    made = {name_of(one): one for one in kustomize(folder)}

    settings = [name for name in made if name.startswith("ConfigMap/tocsin-settings-")]
    committed = {name_of(one) for one in documents("small")}
    of_the_canary = {name for name in made if "canary" in name}
    assert "Deployment/tocsin-canary" in of_the_canary
    assert {name for name in made if name not in settings} - of_the_canary == {
        name for name in committed if not name.startswith("ConfigMap/tocsin-settings-")
    }
    for workload in made.values():
        if "template" in workload.get("spec", {}):
            (container,) = workload["spec"]["template"]["spec"]["containers"]
            assert container["image"].startswith("localhost/tocsin-"), workload["metadata"]
    for service, port in PORTS.items():
        assert made[f"Service/tocsin-{service}"]["spec"]["ports"][0]["nodePort"] == port
    policy = made["ConfigMap/tocsin-policy"]["data"]
    assert "user:ana" in policy["teams.yaml"]
