"""Every document follows its schema, in which no field is unknown."""

import subprocess
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tests.kubernetes.conftest import OVERLAYS, Json, documents, name_of

kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="`make kubernetes` installs kubernetes-validate"
)
VERSIONS = "1.31", "1.34", "1.37"
"""Of Kubernetes: the manifests are good for the oldest and the newest of them."""


@pytest.fixture(scope="session")
def schemas() -> dict[tuple[str, str], Json]:
    """The schema of each custom resource, by apiVersion and kind."""
    from deploy.kubernetes.crds import crds, stand_ins

    try:
        found = [*crds(), *stand_ins()]
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"the CRDs cannot be fetched here: {error}")
    return dict(_schemas(found))


def _schemas(crds: list[Json]) -> Iterator[tuple[tuple[str, str], Json]]:
    for crd in crds:
        spec = crd["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            yield key, _strict(version["schema"]["openAPIV3Schema"], top=True)


def _strict(schema: Any, top: bool = False) -> Any:
    """The same schema, without room for fields that it does not name."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    if "properties" in schema and not top and "additionalProperties" not in schema:
        open_ended = schema.get("x-kubernetes-preserve-unknown-fields")
        named = isinstance(schema["properties"], dict) and "type" in schema
        if named and not open_ended:
            made["additionalProperties"] = False
    return made


def _is_custom(document: Json) -> bool:
    group = document["apiVersion"].rpartition("/")[0]
    return ("." in group and not group.endswith(".k8s.io")) or group.startswith("gateway.")


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_documents_of_kubernetes(overlay: str, version: str) -> None:
    for document in documents(overlay):
        if not _is_custom(document):
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_custom_resources(overlay: str, schemas: dict[tuple[str, str], Json]) -> None:
    for document in documents(overlay):
        if _is_custom(document):
            schema = schemas[document["apiVersion"], document["kind"]]
            errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
            found = [f"{list(error.path)}: {error.message}" for error in errors]
            assert found == [], name_of(document)


def test_a_misspelt_field_is_found(schemas: dict[tuple[str, str], Json]) -> None:
    topic = next(one for one in documents("ha") if one["kind"] == "KafkaTopic")
    topic["spec"]["partitionz"] = topic["spec"].pop("partitions")
    schema = schemas[topic["apiVersion"], topic["kind"]]

    assert not jsonschema.Draft202012Validator(schema).is_valid(topic)

    job = next(one for one in documents("ha") if one["kind"] == "Job")
    job["spec"]["backofLimit"] = job["spec"].pop("backoffLimit")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSIONS[0], strict=True)
