"""WHERE clauses of which only some conditions have a value."""

from collections.abc import Mapping


def conditions(wanted: Mapping[str, object]) -> tuple[str, list[object]]:
    """What follows a WHERE: ` AND condition` for each condition (its value written `?`) whose value
    is not None, and the values.
    """
    # `$1 IS NULL OR team = $1` instead would be one plan for both: it reads all rows to find the
    # few of a team.
    given = {condition: value for condition, value in wanted.items() if value is not None}
    texts = [
        f" AND {condition.replace('?', f'${number}')}"
        for number, condition in enumerate(given, start=1)
    ]
    return "".join(texts), list(given.values())
