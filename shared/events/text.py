"""Texts from other systems, within bounds."""


def shorten(text: str, most: int) -> str:
    """The text; of one that is longer than `most` characters, its beginning and an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"
