"""Paths of the local stack's files: `.local/` in the checkout (ignored by git) or
TOCSIN_LOCAL_DIR.
"""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
JARS = CHECKOUT / ".local" / "jars"
LOCAL = Path(os.environ.get("TOCSIN_LOCAL_DIR", CHECKOUT / ".local")).absolute()
LOGS = LOCAL / "logs"
KAFKA = LOCAL / "kafka"
STATE = LOCAL / "state.json"
SECRETS = LOCAL / "secrets.json"
ENVIRONMENT = LOCAL / "env"
POLICY = Path(__file__).with_name("policy")
