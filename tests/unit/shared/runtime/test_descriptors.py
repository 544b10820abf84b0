"""HTTP leaves descriptors for everything else."""

import pytest

from shared.runtime.descriptors import connections_within


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(64, 48), (256, 192), (1024, 768), (1_000_000, 10_000)]
)
def test_some_are_kept_back(descriptors: int, connections: int) -> None:
    assert connections_within(descriptors) == connections
