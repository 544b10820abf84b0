"""A log line is one JSON object."""

import logging

import orjson

from shared.runtime.logs import JsonFormatter


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter("intake").format(record)
    assert "\n" not in text
    loaded: dict[str, object] = orjson.loads(text)
    return loaded


def test_fields_of_the_caller_stand_beside_the_message() -> None:
    record = logging.LogRecord("shared.x", logging.WARNING, "x.py", 1, "lost %d", (3,), None)
    record.trace_id = "4bf9"
    logged = line(record)
    assert (
        logged["level"],
        logged["service"],
        logged["logger"],
        logged["message"],
        logged["trace_id"],
    ) == ("warning", "intake", "shared.x", "lost 3", "4bf9")


def test_an_exception_and_values_that_json_has_no_word_for_are_text() -> None:
    try:
        raise ValueError("broken\nin two")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "x.py", 1, "failed", (), (type(error), error, error.__traceback__)
        )
    record.what = object()
    logged = line(record)
    assert "ValueError" in str(logged["exception"])
    assert "object" in str(logged["what"])
