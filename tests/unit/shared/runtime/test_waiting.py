"""A command waits for a server that is not there yet, as long as it was told to."""

import pytest
from aiokafka.errors import KafkaConnectionError

from shared.runtime.waiting import with_patience


class Server:
    """Is there from the call `there` on."""

    def __init__(self, there: int) -> None:
        self.calls, self._there = 0, there

    async def work(self) -> str:
        self.calls += 1
        if self.calls < self._there:
            raise KafkaConnectionError if self.calls % 2 else ConnectionRefusedError
        return "done"


async def test_it_is_tried_again_until_the_server_is_there() -> None:
    server = Server(there=3)

    assert await with_patience(60, server.work) == "done"
    assert server.calls == 3


async def test_the_last_error_is_raised_when_patience_ends() -> None:
    with pytest.raises(KafkaConnectionError):
        await with_patience(0, Server(there=2).work)


async def test_what_waiting_does_not_cure_is_raised_at_once() -> None:
    async def work() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await with_patience(60, work)
