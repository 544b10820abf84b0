"""The embedded broker handles transactions."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def test_a_record_goes_through_the_broker(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}signals"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()

    async with (
        AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(topic, b"disk full", key=b"INC-1")
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    ) as consumer:
        record = await consumer.getone()

    assert (record.key, record.value) == (b"INC-1", b"disk full")
