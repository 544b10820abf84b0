"""The role settings that each version runs with."""

from tests.bench.roles import statements


def test_a_role_gets_the_settings_of_its_version_and_no_others() -> None:
    settings = ["search_path=intake, public", "lock_timeout=5s", "application_name=it's=1"]

    assert list(statements({"tocsin_intake": settings, "tocsin_intake_owner": []})) == [
        "ALTER ROLE tocsin_intake RESET ALL",
        "ALTER ROLE tocsin_intake SET search_path = intake, public",
        "ALTER ROLE tocsin_intake SET lock_timeout = '5s'",
        "ALTER ROLE tocsin_intake SET application_name = 'it''s=1'",
        "ALTER ROLE tocsin_intake_owner RESET ALL",
    ]
