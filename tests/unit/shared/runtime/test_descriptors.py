"""HTTP leaves descriptors for everything else."""

import pytest

from shared.runtime.descriptors import connections_within


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(64, 48), (256, 192), (1024, 768), (65_536, 65_280)]
)
def test_some_are_kept_back(descriptors: int, connections: int) -> None:
    assert connections_within(descriptors) == connections
