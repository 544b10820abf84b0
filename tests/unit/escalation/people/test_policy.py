"""Users of teams.yaml and their addresses."""

from tests.unit.escalation.builders import teams


def test_addresses_are_not_shown_with_the_user() -> None:
    shown = repr(teams().content.users["ana"])
    assert "example.com" not in shown
    assert "Ana" in shown


def test_methods_default_to_what_the_user_has() -> None:
    users = teams().content.users
    assert users["ana"].methods == ("webhook", "email")
    assert users["ben"].methods == ("email", "webhook")
    assert users["cleo"].methods == ("email",)


def test_a_user_needs_one_address_of_any_kind() -> None:
    text = """
    default_policy: p
    users: {zoe: {name: Zoe, webhook: "https://hooks.example.com/zoe", email: }}
    policies: {p: {steps: [{targets: ["user:zoe"], wait: 1m}]}}
    """
    assert teams(text).content.users["zoe"].methods == ("webhook",)
