"""A key's partition is that of Kafka's own clients, or facts of one incident would be apart."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from shared.kafka.partitioner import partition_of


@given(key=st.binary(max_size=80), count=st.integers(min_value=1, max_value=100))
def test_every_key_has_the_partition_that_other_clients_choose(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, partitions, [])
