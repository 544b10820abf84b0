"""What a principal is let do in Kafka: every operation is requested, and the answer tells."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.admin import (
    AlterConfigsRequest,
    CreatePartitionsRequest,
    CreateTopicsRequest,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from shared.kafka.access.grants import Operation, Resource
from shared.kafka.security import Security

_REFUSED = {
    TopicAuthorizationFailedError.errno,
    GroupAuthorizationFailedError.errno,
    TransactionalIdAuthorizationFailed.errno,
}
_GROUP, _TOPIC = 0, 2

Allowed = set[tuple[Resource, str, Operation]]


class Attempts:
    """The attempts of one principal on one broker; `allowed` has what was not refused."""

    def __init__(self, client: AIOKafkaClient, producer: AIOKafkaProducer) -> None:
        self._client = client
        self._producer = producer
        self.allowed: Allowed = set()

    async def on_topics(self, topics: Sequence[str]) -> None:
        """Describe, read, write, create, alter and configure each topic, which exists."""
        answer = await self._ask(MetadataRequest(list(topics)))
        self._note(Operation.DESCRIBE, ((topic[1], topic[0]) for topic in answer.topics))
        wanted = [(topic, [(0, 0, 1024)]) for topic in topics]
        answer = await self._ask(FetchRequest(0, 0, 1 << 20, 0, wanted))
        self._note(Operation.READ, ((name, parts[0][1]) for name, parts in answer.topics))
        for topic in topics:
            await self._write(topic)
        new: Any = [(topic, 1, 1, [], []) for topic in topics]
        answer = await self._ask(CreateTopicsRequest(new, 1000, True))
        self._note(Operation.CREATE, ((error[0], error[1]) for error in answer.topic_errors))
        more: Any = [(topic, (100, None)) for topic in topics]
        answer = await self._ask(CreatePartitionsRequest(more, 1000, True))
        self._note(Operation.ALTER, ((error[0], error[1]) for error in answer.topic_errors))
        same: Any = [(_TOPIC, topic, [("retention.ms", "60000")]) for topic in topics]
        answer = await self._ask(AlterConfigsRequest(same))
        self._note(Operation.ALTER_CONFIGS, ((found[3], found[0]) for found in answer.resources))

    async def on_groups(self, groups: Sequence[str]) -> None:
        """Be a member of each group, and describe it."""
        for group in groups:
            answer = await self._ask(HeartbeatRequest(group, 0, "nobody"))
            self._note(Operation.READ, [(group, answer.error_code)], Resource.GROUP)
            answer = await self._ask(FindCoordinatorRequest(group, _GROUP))
            self._note(Operation.DESCRIBE, [(group, answer.error_code)], Resource.GROUP)

    async def on_transactional_ids(self, names: Sequence[str]) -> None:
        """Begin as a producer with each id."""
        for name in names:
            answer = await self._ask(InitProducerIdRequest(name, 1000))
            found = [(name, answer.error_code)]
            self._note(Operation.WRITE, found, Resource.TRANSACTIONAL_ID)

    async def _write(self, topic: str) -> None:
        try:
            await self._producer.send_and_wait(topic, b"attempt", b"key", partition=0)
        except TopicAuthorizationFailedError:
            return
        self.allowed.add((Resource.TOPIC, topic, Operation.WRITE))

    async def _ask(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)

    def _note(
        self,
        operation: Operation,
        answers: Iterable[tuple[str, int]],
        resource: Resource = Resource.TOPIC,
    ) -> None:
        self.allowed |= {
            (resource, name, operation) for name, code in answers if code not in _REFUSED
        }


@asynccontextmanager
async def attempts(bootstrap: str, security: Security) -> AsyncIterator[Attempts]:
    """Connects as a principal."""
    options = {"bootstrap_servers": bootstrap, **security.options()}
    client = AIOKafkaClient(**options)
    producer = AIOKafkaProducer(enable_idempotence=True, **options)
    try:
        await client.bootstrap()
        try:
            await producer.start()
        except ClusterAuthorizationFailedError:  # may write to no topic at all
            await producer.stop()
            producer = AIOKafkaProducer(**options)
            await producer.start()
        yield Attempts(client, producer)
    finally:
        await producer.stop()
        await client.close()
