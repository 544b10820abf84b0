"""Policy files for tests with a whole Tocsin."""

_CATALOGUE = """
default_team: platform
services:
  checkout: {team: payments, tier: 1, runbook: "https://runbooks.example/checkout"}
  search: {team: payments, tier: 3}
"""
# Names, addresses and tokens that occur nowhere else, so that tests can search for leaks.
_TEAMS = """
default_policy: payments
users:
  anastasia:
    name: Anastasia
    email: an@mail.example
    webhook: "PAGES/token-of-anastasia"
    methods: [webhook]
  benedict:
    name: Benedict
    email: be@mail.example
    webhook: "PAGES/token-of-benedict"
    methods: [webhook]
teams:
  payments: {policy: payments}
  platform: {policy: payments}
policies:
  payments:
    rounds: ROUNDS
    steps:
"""


def policy_files(
    pages: str, *steps: str, rounds: int = 3, update_interval: str = "10s"
) -> dict[str, str]:
    """Names and texts of all files. All users are paged at `pages`, in `steps` in the format of
    teams.yaml.
    """
    teams = _TEAMS.replace("PAGES", pages).replace("ROUNDS", str(rounds))
    return {
        "catalogue.yaml": _CATALOGUE,
        "teams.yaml": teams + "".join(f"      - {step}\n" for step in steps),
        "intake.yaml": f"update_interval: {update_interval}\n",
    }
