"""Where the local stack keeps its things: `.local/` in the checkout, ignored by git."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = CHECKOUT / ".local"
JARS = LOCAL / "jars"
LOGS = LOCAL / "logs"
