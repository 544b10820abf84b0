"""The local stack finds its services; it does not list them."""

import pytest

from deploy.local import services


def test_services_come_in_the_order_of_an_incident_and_unknown_ones_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = dict.fromkeys(("reporting", "zeta", "intake", "alpha", "triage"), "")
    monkeypatch.setattr(services, "service_packages", lambda: installed)

    assert services.installed_services() == ["intake", "triage", "reporting", "alpha", "zeta"]
