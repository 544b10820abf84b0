"""What the tests of dead letters and of redrive begin with."""

import pytest

from shared.events.rejections import DEAD_LETTERS
from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import REDRIVE, Topic
from tests.support.consuming import TOPIC
from tests.support.dead_lettering import Tocsin, command


@pytest.fixture
async def tocsin(kafka: str, topic_prefix: str) -> Tocsin:
    """`tocsin dead-letters ...`, with the topics that it needs."""
    await apply_topics(
        kafka, topic_prefix, [Topic(t, partitions=1) for t in (TOPIC, DEAD_LETTERS, REDRIVE)]
    )
    return command(kafka, topic_prefix)
