"""Where the local stack keeps its things: `.local/` in the checkout, ignored by git."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = CHECKOUT / ".local"
JARS = LOCAL / "jars"
LOGS = LOCAL / "logs"
KAFKA = LOCAL / "kafka"
STATE = LOCAL / "state.json"
SECRETS = LOCAL / "secrets.json"
ENVIRONMENT = LOCAL / "env"
POLICY = Path(__file__).with_name("policy")
