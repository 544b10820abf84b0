"""Whether a log can be read on from a row."""

import pytest

from shared.kafka.consumption.offsets import TopicPartition, mismatch


@pytest.mark.parametrize(
    ("next_offset", "reason"),
    [(9, "retention"), (10, None), (15, None), (20, None), (21, "recreated")],
    ids=str,
)
def test_a_log_from_10_up_to_20_is_read_on_from_between(
    next_offset: int, reason: str | None
) -> None:
    found = mismatch(next_offset, 10, 20)

    assert found is None if reason is None else found and reason in found


def test_a_partition_reads_as_topic_and_number() -> None:
    assert str(TopicPartition("tocsin.signals.v1", 3)) == "tocsin.signals.v1/3"
