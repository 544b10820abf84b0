"""What parsers are fed with at random. `pytest --hypothesis-profile=long` does it for longer."""

from hypothesis import settings
from hypothesis import strategies as st

settings.register_profile("short", max_examples=100, deadline=None)
settings.register_profile("long", max_examples=10_000, deadline=None)

_PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
)
ANY_JSON = (
    _PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(st.text(max_size=6), _PLAIN, max_size=3)
)
"""A JSON value, of any type."""


def take_short() -> None:
    """Where no profile was asked for."""
    settings.load_profile("short")
