"""Settings name what is wrong with them, and never show what is secret."""

from ipaddress import ip_network

import pytest

from shared.runtime.settings import SettingsError, load_settings


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
    for name in ("SECRET_KEY", "API_TOKEN", "WEBHOOK_SECRET", "POSTGRES", "POSTGRES_ADMIN", "SMTP"):
        monkeypatch.setenv(f"TOCSIN_{name}", "smtp://user:hunter2@host")
    assert "hunter2" not in repr(load_settings())
