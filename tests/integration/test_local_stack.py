"""The local stack: what a newcomer's machine is asked to do."""

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def test_a_record_goes_through_the_broker(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}signals"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()

    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic) as producer, producer.transaction():
        await producer.send_and_wait(topic, b"disk full", key=b"INC-1")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", isolation_level="read_committed"
    ) as consumer:
        record = await consumer.getone()

    assert (record.key, record.value) == (b"INC-1", b"disk full")


async def test_each_test_has_a_migrated_database_of_its_own(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        schemas = {row["nspname"] for row in await connection.fetch("SELECT nspname FROM pg_namespace")}
        await connection.execute("CREATE TABLE mark (id int)")
    finally:
        await connection.close()

    assert schemas >= {"intake", "triage", "escalation", "reporting"}


async def test_what_one_test_wrote_another_does_not_see(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT to_regclass('mark')") is None
    finally:
        await connection.close()
