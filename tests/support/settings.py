"""What the services under test are configured with: environment variables and policy files."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.stack import runtime_dsn


def service_settings(
    kafka: str, database: str, prefix: str, folder: Path, ports: Mapping[str, int]
) -> dict[str, str]:
    """The environment variables that all services share, without their secrets."""
    return {
        "TOCSIN_KAFKA": kafka,
        "TOCSIN_TOPIC_PREFIX": prefix,
        "TOCSIN_POSTGRES": runtime_dsn(database, "{service}"),
        "TOCSIN_POLICY_DIR": str(folder / "policy"),
        "TOCSIN_PUBLIC_URL": f"http://127.0.0.1:{ports['escalation']}",
        "TOCSIN_CONSOLE_URL": f"http://127.0.0.1:{ports['reporting']}",
        "TOCSIN_ESCALATION_URL": f"http://127.0.0.1:{ports['escalation']}",
        "TOCSIN_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


def write_policy(folder: Path, policy: Mapping[str, str]) -> None:
    """Write policy files (name to text) to where `service_settings` says that they are."""
    (folder / "policy").mkdir()
    for name, text in policy.items():
        (folder / "policy" / name).write_text(text)
