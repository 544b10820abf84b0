"""Which gateways there are: those of the package, and those of other distributions."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.intake.gateways import alertmanager, cloudevents
from services.intake.gateways.registry import Registry


@pytest.fixture
def other_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution that is installed beside Tocsin and has a gateway."""
    (tmp_path / "elsewhere.py").write_text(
        "from dataclasses import replace\n"
        "from services.intake.gateways.alertmanager import GATEWAY as OTHER\n"
        "route = replace(OTHER.routes[0], path='/v1/elsewhere')\n"
        "GATEWAY = replace(OTHER, name='elsewhere', routes=[route])\n"
    )
    information = tmp_path / "elsewhere-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[tocsin.gateways]\nelsewhere = elsewhere:GATEWAY\nabsent = not_installed:GATEWAY\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("elsewhere", None)


def paths(registry: Registry) -> list[str]:
    return sorted(route.path for gateway in registry for route in gateway.routes)


def test_every_module_that_declares_a_gateway_is_one() -> None:
    names = {gateway.name for gateway in Registry.discover()}
    assert {alertmanager.GATEWAY.name, cloudevents.GATEWAY.name} <= names


@pytest.mark.usefixtures("other_distribution")
def test_other_distributions_add_theirs() -> None:
    assert "/v1/elsewhere" in paths(Registry.discover())


def test_two_gateways_of_one_name_or_path_are_refused() -> None:
    with pytest.raises(ValueError, match="two gateways are called cloudevents"):
        Registry([cloudevents.GATEWAY, cloudevents.GATEWAY])
    with pytest.raises(ValueError, match="two gateways declare POST /v1/signals"):
        Registry([cloudevents.GATEWAY, replace(cloudevents.GATEWAY, name="other")])
