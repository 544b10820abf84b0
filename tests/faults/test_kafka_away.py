"""Intake is ready without Kafka, but not when it cannot follow a log."""

from pathlib import Path

import aiohttp
import asyncpg

from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import SIGNALS, TOPICS
from tests.support.running import Truth, alert, eventually, prepared


async def test_intake_is_not_ready_when_it_cannot_follow_a_log(
    kafka: str, database: str, topic_prefix: str, tmp_path: Path
) -> None:
    await apply_topics(kafka, topic_prefix, TOPICS)
    connection = await asyncpg.connect(database)
    row = (SIGNALS, 0, 1000)
    await connection.execute(
        'INSERT INTO intake.offsets (topic, "partition", next_offset) VALUES ($1, $2, $3)', *row
    )
    await connection.close()
    async with prepared(kafka, database, topic_prefix, tmp_path, {}) as tocsin:
        await tocsin.start("intake")

        async def refused() -> Truth:
            try:
                async with tocsin.http.get(tocsin.probe("intake", "/readyz")) as answer:
                    text = await answer.text()
                    return Truth(answer.status == 503 and f"{SIGNALS}/0" in text, text)
            except aiohttp.ClientError as error:
                return Truth(False, repr(error))

        await eventually("not ready, with the partition's name", refused)
        await tocsin.signals(alert("accepted by HTTP"))
