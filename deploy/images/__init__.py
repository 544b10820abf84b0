"""Container images: one for each service, and one for the canary."""

IMAGES = ("intake", "triage", "escalation", "reporting", "canary")
"""The targets of the Dockerfile. The image of a target is called `tocsin-<target>`."""
SERVERS = ("kafka", "postgres")
"""The targets of servers.Dockerfile, for tests on machines that reach no image registry."""
