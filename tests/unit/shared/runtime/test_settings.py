"""Settings name what is wrong with them, and never show what is secret."""

import base64
from ipaddress import ip_network
from pathlib import Path

import pytest

from deploy.canary.settings import CanarySettings
from shared.runtime.settings import (
    Settings,
    SettingsError,
    load_settings,
    read_settings,
    variable_of,
)


def whsec(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


def test_each_service_has_the_dsn_of_its_own_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_POSTGRES", "postgresql://tocsin_{service}:pw@db/tocsin")
    assert load_settings().dsn("triage") == "postgresql://tocsin_triage:pw@db/tocsin"


def test_networks_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8")
    assert load_settings().allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOCSIN_HTTP_PORT", "http"),
        ("TOCSIN_HTTP_PORT", "70000"),
        ("TOCSIN_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("TOCSIN_HTTP_KEEP_ALIVE", "0"),
        ("TOCSIN_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TOCSIN_ALLOWED_HOSTS", "https://tocsin.example.com"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


def test_a_missing_secret_is_named_with_its_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOCSIN_SECRET_KEY", raising=False)
    with pytest.raises(SettingsError, match=r"TOCSIN_SECRET_KEY is not set \(signs the links"):
        load_settings().required("secret_key")


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "API_TOKEN", "POSTGRES", "POSTGRES_ADMIN", "SMTP"):
        monkeypatch.setenv(f"TOCSIN_{name}", "smtp://user:hunter2@host.that.is.long.example")
    monkeypatch.setenv("TOCSIN_WEBHOOK_SECRET", whsec(b"hunter2" * 5))
    shown = repr(load_settings())
    assert "hunter2" not in shown
    assert whsec(b"hunter2" * 5) not in shown


@pytest.mark.parametrize("kind", [Settings, CanarySettings])
@pytest.mark.parametrize("address", ["tcp://10.96.12.7:9000", "udp://[fd00::7]:53", "sctp://h:1"])
def test_what_kubernetes_sets_for_a_service_of_that_name_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, kind: type[Settings], address: str
) -> None:
    default = read_settings(kind)
    for name in kind.model_fields:
        if name != "canary_name":  # it has no fixed default
            monkeypatch.setenv(f"TOCSIN_{name.upper()}", address)
    assert read_settings(kind).model_dump(exclude={"canary_name"}) == default.model_dump(
        exclude={"canary_name"}
    )


@pytest.mark.parametrize("address", ["http://10.0.0.1:80", "smtp://mail:25", "tcp://broker"])
def test_other_addresses_are_settings(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TOCSIN_PUBLIC_URL", address)
    assert load_settings().public_url == address


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("TOCSIN_SECRET_KEY", "", "has 0 bytes, and 32 are needed"),
        ("TOCSIN_SECRET_KEY", "k" * 31, "has 31 bytes, and 32 are needed"),
        ("TOCSIN_SECRET_KEY", "ü" * 15, "has 30 bytes, and 32 are needed"),
        ("TOCSIN_WEBHOOK_SECRET", "", "is empty"),
        ("TOCSIN_WEBHOOK_SECRET", " ", "is empty"),
        ("TOCSIN_WEBHOOK_SECRET", "whsec_", "has a secret of 0 bytes"),
        ("TOCSIN_WEBHOOK_SECRET", "whsec_abc", "is not base64"),
        ("TOCSIN_WEBHOOK_SECRET", "whsec_abcd", "has a secret of 3 bytes, and 24 to 64 are needed"),
        ("TOCSIN_WEBHOOK_SECRET", "whsec_not-base64!", "is not base64"),
        ("TOCSIN_WEBHOOK_SECRET", "whsec_" + "ü" * 40, "is not base64"),
        ("TOCSIN_WEBHOOK_SECRET", whsec(b"x" * 23), "has a secret of 23 bytes"),
        ("TOCSIN_WEBHOOK_SECRET", whsec(b"x" * 65), "has a secret of 65 bytes"),
        ("TOCSIN_WEBHOOK_SECRET", whsec(b"x" * 32)[6:], "does not begin with whsec_"),
        ("TOCSIN_WEBHOOK_SECRET", f"{whsec(b'x' * 32)} whsec_", "has a secret of 0 bytes"),
        ("TOCSIN_WEBHOOK_SECRET", " ".join([whsec(b"x" * 32)] * 3), "has 3 secrets"),
    ],
)
def test_a_weak_secret_is_refused_by_name_with_the_way_to_make_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    for kind in (Settings, CanarySettings):
        with pytest.raises(SettingsError) as caught:
            read_settings(kind)
        said = str(caught.value)
        assert said.startswith(f"{variable}: ")
        assert reason in said
        assert "openssl rand -base64 32" in said
        assert value.strip() in ("", "whsec_") or value not in said


SECRETS = {
    "postgres": "postgresql://tocsin_{service}:hunter2@db/tocsin",
    "postgres_admin": "postgresql://admin:hunter2@db/tocsin",
    "secret_key": "hunter2" * 5,
    "secret_key_previous": "hunter2" * 6,
    "api_token": "hunter2",
    "webhook_secret": whsec(b"hunter2" * 5),
    "smtp": "smtp://tocsin:hunter2@mail.example:587",
    "canary_key": "hunter2",
}


def test_every_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.delenv(variable_of(name), raising=False)
        (tmp_path / name).write_text(f"{secret}\n")
        monkeypatch.setenv(f"{variable_of(name)}_FILE", str(tmp_path / name))
    settings = read_settings(CanarySettings)
    assert {name: settings.required(name) for name in SECRETS} == SECRETS
    declared = {n for n, f in CanarySettings.model_fields.items() if "SecretStr" in str(f)}
    # A new secret belongs into this test. Kafka's clients read theirs again for each connection.
    assert declared - {"kafka_password"} == SECRETS.keys()
    (tmp_path / "smtp").write_text("")
    with pytest.raises(SettingsError, match=r"^TOCSIN_SMTP_FILE: the file .* is empty$"):
        load_settings()


def test_what_is_no_secret_is_not_taken_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOCSIN_KAFKA_FILE", str(tmp_path / "missing"))
    assert load_settings().kafka == "localhost:9092"


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_of_a_good_size_is_taken(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setenv("TOCSIN_SECRET_KEY", "k" * 32)
    monkeypatch.setenv("TOCSIN_WEBHOOK_SECRET", f"{whsec(b'x' * size)} {whsec(b'y' * size)}")
    assert load_settings().required("webhook_secret").startswith("whsec_")
