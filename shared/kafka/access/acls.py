"""The broker's ACLs, compared with the grants, and made equal to them.

aiokafka's administration knows no ACLs, but its protocol does.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ClusterAuthorizationFailedError, SecurityDisabled, for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from shared.kafka.access.grants import Grant, Operation, Resource
from shared.kafka.diagnosis import KafkaRefusal, explained
from shared.kafka.security import Security

_RESOURCES = {Resource.TOPIC: 2, Resource.GROUP: 3, Resource.TRANSACTIONAL_ID: 5}
_MATCH, _LITERAL, _PREFIXED = 2, 3, 4
_OPERATIONS = {
    "All": 2,
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    "Delete": 6,
    Operation.ALTER: 7,
    Operation.DESCRIBE: 8,
    "DescribeConfigs": 10,
    Operation.ALTER_CONFIGS: 11,
}
_ANY, _ALLOW = 1, 3
_ANY_HOST = "*"


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One ACL of the broker that allows something, with Kafka's numbers for kinds."""

    resource: int
    name: str
    pattern: int
    principal: str
    operation: int
    host: str = _ANY_HOST

    def __str__(self) -> str:
        resource = _word(_RESOURCES, self.resource)
        stars = "*" if self.pattern == _PREFIXED else ""
        operation = _word(_OPERATIONS, self.operation)
        host = "" if self.host == _ANY_HOST else f" from {self.host}"
        return f"{self.principal} {operation} {resource} {self.name}{stars}{host}"

    @property
    def fields(self) -> tuple[int, str, int, str, str, int, int]:
        """The fields of a request."""
        return (
            *(self.resource, self.name, self.pattern, self.principal, self.host),
            *(self.operation, _ALLOW),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What the broker lacks, and what it allows beyond the grants on the same things."""

    missing: Sequence[Acl]
    undeclared: Sequence[Acl]


def acl_of(grant: Grant, principal: str) -> Acl:
    """The ACL of a grant."""
    pattern = _PREFIXED if grant.prefixed else _LITERAL
    resource, operation = _RESOURCES[grant.resource], _OPERATIONS[grant.operation]
    return Acl(resource, grant.name, pattern, principal, operation)


class Acls:
    """The ACLs of a cluster. Raises KafkaError."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def compare(self, wanted: Iterable[Acl]) -> Difference:
        """Compare with all that the broker allows on the same things, by wider patterns too."""
        wanted = set(wanted)
        found: set[Acl] = set()
        for resource, name in sorted({(acl.resource, acl.name) for acl in wanted}):
            found |= set(await self._matching(resource, name))
        return Difference(sorted(wanted - found), sorted(found - wanted))

    async def add(self, acls: Iterable[Acl]) -> None:
        """Make ACLs."""
        answer = await self._ask(_Creations(acls))
        for code, message in answer.creation_responses:
            _raise_for(code, message)

    async def remove(self, acls: Iterable[Acl]) -> None:
        """Delete ACLs."""
        answer = await self._ask(_Deletions(acls))
        for code, message, _ in answer.filter_responses:
            _raise_for(code, message)

    async def _matching(self, resource: int, name: str) -> list[Acl]:
        request = DescribeAclsRequest(resource, name, _MATCH, None, None, _ANY, _ALLOW)
        answer = await self._ask(request)
        _raise_for(answer.error_code, answer.error_message)
        return [
            Acl(kind, found, pattern, principal, operation, host)
            for kind, found, pattern, acls in answer.resources
            for principal, host, operation, _ in acls
        ]

    async def _ask(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)


class _Creations(CreateAclsRequest):  # type: ignore[misc]
    """aiokafka's requests carry one ACL; Kafka's carry any number."""

    def __init__(self, acls: Iterable[Acl]) -> None:
        self._acls = acls

    def build(self, version: Callable[[Sequence[Any]], Any]) -> Any:
        return version([acl.fields for acl in self._acls])


class _Deletions(DeleteAclsRequest):  # type: ignore[misc]
    def __init__(self, acls: Iterable[Acl]) -> None:
        self._acls = acls

    def build(self, version: Callable[[Sequence[Any]], Any]) -> Any:
        return version([acl.fields for acl in self._acls])


@asynccontextmanager
async def open_acls(bootstrap: str, security: Security) -> AsyncIterator[Acls]:
    """Connect. Raises KafkaError, with how to fix it."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap, **security.options())
    async with explained(bootstrap, security):
        try:
            await client.bootstrap()
            yield Acls(client)
        except ClusterAuthorizationFailedError:
            raise KafkaRefusal(
                f"{security.principal} may not see or change ACLs: use a principal that has "
                "Describe and Alter on the cluster, such as a super user"
            ) from None
        except SecurityDisabled:
            raise KafkaRefusal(
                "the broker has no authorizer, so everybody may do everything: set its "
                "authorizer.class.name"
            ) from None
        finally:
            await client.close()


def _raise_for(code: int, message: str | None) -> None:
    if code:
        raise for_code(code)(message)


def _word(words: dict[Any, int], number: int) -> str:
    return next((str(word) for word, known in words.items() if known == number), str(number))
