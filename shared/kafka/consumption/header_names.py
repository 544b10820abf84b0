"""Header names that are not UTF-8, which clients in other languages can send.

aiokafka fails on such a record, and so on the whole batch that its producer sent, for ever. Here
that batch is read again, with what is no text in a name written as an escape (`\\xff`). All others
are read as before. docs/adr/0012 says why this reaches into aiokafka.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

_FIRST_WITH_HEADERS = 2  # version of the format


class TolerantRecords(_MemoryRecordsPy):  # type: ignore[misc]
    """The record batches of one partition in a fetch response."""

    def next_batch(self) -> Any:
        """The next batch of one producer."""
        data = self._next_slice
        batch = super().next_batch()
        if batch is None or batch.magic < _FIRST_WITH_HEADERS:
            return batch
        return _Batch(batch, data)


class _Batch:
    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except (UnicodeDecodeError, CorruptRecordException):  # the second: without its C extension
            yield from islice(_TolerantBatch(self._data), read, None)


class _TolerantBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Bytes(bytearray):
    """Decodes whatever it holds. aiokafka decodes nothing of a record but the names of headers."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return found if isinstance(found, int) else _Bytes(found)

    def decode(self, *_: str) -> str:
        return super().decode("utf-8", "backslashreplace")


def tolerate_header_names() -> None:
    """Have every consumer of this process read so: aiokafka has no setting for one alone."""
    fetcher.MemoryRecords = TolerantRecords
