"""One bad item in a batch costs that item alone."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import asyncpg

from shared.postgres.connection import Connection
from shared.postgres.errors import UNAVAILABLE, Conflict
from shared.telemetry import discarded_on_error

Item = TypeVar("Item")
Work = Callable[[Connection, Sequence[Item]], Awaitable[None]]
OnPoison = Callable[[Connection, Item, Exception], Awaitable[None]]

_NEVER_POISON = (*UNAVAILABLE, Conflict, asyncpg.SyntaxOrAccessError)
"""SyntaxOrAccessError: a missing table or right is a fault of the installation, and would
dead-letter every item.
"""


class Isolation(Protocol):
    """`process_together` or `isolate`."""

    async def __call__(
        self,
        connection: Connection,
        items: Sequence[Item],
        work: Work[Item],
        on_poison: OnPoison[Item],
        /,
    ) -> None: ...


async def process_together(
    connection: Connection, items: Sequence[Item], work: Work[Item], _: OnPoison[Item], /
) -> None:
    """Do `work` on all items; if it raises, the caller repeats the transaction with `isolate`."""
    if items:  # without a savepoint, which is two more round trips
        await work(connection, items)


async def isolate(
    connection: Connection, items: Sequence[Item], work: Work[Item], on_poison: OnPoison[Item], /
) -> None:
    """Do `work` on all items under one savepoint; when it raises, on each half, down to the item
    that fails alone.

    That one goes to `on_poison`, outside the savepoint, so what it writes stays. The order of items
    is kept. `work` runs again for good items: its only effects must be those that the transaction
    rolls back. Errors that are not about an item (UNAVAILABLE, Conflict, cancellation) pass.
    """
    if not items:
        return
    try:
        with discarded_on_error():
            async with connection.transaction():
                await work(connection, items)
    except Exception as error:
        if never_poison(error):
            raise
        if len(items) == 1:
            await on_poison(connection, items[0], error)
            return
        middle = len(items) // 2
        await isolate(connection, items[:middle], work, on_poison)
        await isolate(connection, items[middle:], work, on_poison)


def never_poison(error: Exception) -> bool:
    """Whether the error is about the infrastructure and not about the item."""
    # asyncpg refuses an argument that it cannot encode with an InterfaceError that is also a
    # ValueError: that one is about the value, though every other InterfaceError is about the
    # connection.
    return isinstance(error, _NEVER_POISON) and not isinstance(error, ValueError)
