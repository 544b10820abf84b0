"""Settings of Kafka clients: what is missing, or does not fit together, is named."""

from pathlib import Path

import pytest

from shared.kafka.security import PLAINTEXT, Security
from shared.runtime.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECURITY_PROTOCOL", "USERNAME", "PASSWORD", "PASSWORD_FILE", "TOKEN_FILE"):
        monkeypatch.delenv(f"TOCSIN_KAFKA_{name}", raising=False)


def use(patch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        patch.setenv(f"TOCSIN_KAFKA_{name.upper()}", value)


def test_without_settings_it_is_plain_text() -> None:
    security = load_settings().kafka_security("triage")
    assert security.options() == PLAINTEXT.options()
    assert security.principal == "User:ANONYMOUS"


def test_each_service_has_its_own_user_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, security_protocol="SASL_SSL", password_file="/run/{role}/password")
    security = load_settings().kafka_security("triage")
    assert security.principal == "User:tocsin-triage"
    assert security.password == Path("/run/triage/password")
    assert security.mechanism == "SCRAM-SHA-512"


def test_the_file_of_a_password_goes_before_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, security_protocol="SASL_SSL", password="hunter2", username="me")
    assert load_settings().kafka_security("triage").password == "hunter2"
    use(monkeypatch, password_file="/run/password")
    assert load_settings().kafka_security("triage").password == Path("/run/password")


def test_a_token_comes_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        monkeypatch,
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        token_file="/run/{role}/token",
    )
    assert load_settings().kafka_security("triage").token_file == Path("/run/triage/token")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"security_protocol": "SASL_SSL"},
            "TOCSIN_KAFKA_PASSWORD_FILE (or TOCSIN_KAFKA_PASSWORD) is not set, and SCRAM-SHA-512 "
            "needs it",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"},
            "TOCSIN_KAFKA_TOKEN_FILE is not set, and OAUTHBEARER needs it",
        ),
        (
            {"password": "hunter2"},
            "TOCSIN_KAFKA_SECURITY_PROTOCOL: must be SASL_SSL where there are credentials for "
            "Kafka, and is PLAINTEXT",
        ),
        ({"security_protocol": "TLS"}, "TOCSIN_KAFKA_SECURITY_PROTOCOL: must be 'PLAINTEXT'"),
        ({"sasl_mechanism": "PLAIN"}, "TOCSIN_KAFKA_SASL_MECHANISM: must be 'SCRAM-SHA-512'"),
    ],
)
def test_what_does_not_fit_together_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    use(monkeypatch, **settings)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(said)
    assert "hunter2" not in str(caught.value)


def test_no_password_is_shown() -> None:
    assert "hunter2" not in repr(Security(protocol="SASL_SSL", username="me", password="hunter2"))
