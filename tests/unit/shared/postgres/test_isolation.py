"""Which errors are about the item in hand, and which about the surroundings."""

import asyncpg
import pytest
from asyncpg.exceptions._base import DataError as RefusedArgument

from shared.postgres.errors import DEADLOCK, UNAVAILABLE, Conflict
from shared.postgres.isolation import never_poison


@pytest.mark.parametrize(
    "error",
    [
        Conflict(),
        TimeoutError(),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.AdminShutdownError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.UndefinedTableError(),
        asyncpg.InsufficientPrivilegeError(),
        asyncpg.PostgresIOError(),
        asyncpg.InvalidCachedStatementError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_surroundings_are_never_poison(error: Exception) -> None:
    assert never_poison(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("name"),
        ValueError(),
        asyncpg.DataError(),
        asyncpg.CheckViolationError(),
        RefusedArgument("invalid input for query argument $1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_a_record_are_poison(error: Exception) -> None:
    assert not never_poison(error)


@pytest.mark.parametrize(
    "error",
    [asyncpg.DeadlockDetectedError(), asyncpg.SerializationError()],
    ids=lambda error: type(error).__name__,
)
def test_a_deadlock_is_one_of_the_errors_that_are_worth_another_try(error: Exception) -> None:
    assert isinstance(error, DEADLOCK)
    assert isinstance(error, UNAVAILABLE)
