"""A member with an instance id leaves its group when it stops, as any other does.

aiokafka keeps such a member in the group, so that a restart finds its partitions again. Where the
next process has another id, as a new pod does, nobody would read them until the session times out,
10 s later. A process that is killed says nothing, and has its partitions back when it starts again.
"""

import logging
from typing import Any, TypeAlias

from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

log = logging.getLogger(__name__)


class _LeaveGroupResponse(Response):  # type: ignore[misc]
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(
                ("member_id", String("utf-8")),
                ("group_instance_id", String("utf-8")),
                ("error_code", Int16),
            ),
        ),
    )


class _LeaveGroupRequest(RequestStruct):  # type: ignore[misc]
    """Version 3, the first that names instances (KIP-345)."""

    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveGroupResponse
    SCHEMA = Schema(
        ("group_id", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")))),
    )


_Struct: TypeAlias = _LeaveGroupRequest


class LeaveGroup(Request[_Struct]):  # type: ignore[misc]
    """Takes one member out of a group, by the id that it was given and its instance's."""

    API_KEY = 13

    def __init__(self, group: str, member: str, instance: str) -> None:
        self._group, self._member, self._instance = group, member, instance

    def build(self, struct: type[_Struct]) -> _Struct:
        """Called by aiokafka."""
        return struct(self._group, [(self._member, self._instance)])


def leave_when_closed(coordinator: Any) -> None:
    """Have a coordinator of aiokafka send the request where it would send none."""

    async def leave() -> None:
        if coordinator.generation > 0:
            request = LeaveGroup(
                coordinator.group_id, coordinator.member_id, coordinator._group_instance_id
            )
            try:
                await coordinator._send_req(request)
            except KafkaError as error:
                log.info("could not leave the group", extra={"error": type(error).__qualname__})
        coordinator.reset_generation()

    coordinator._maybe_leave_group = leave
