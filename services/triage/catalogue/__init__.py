"""The service catalogue: owners, tiers, dependencies, runbooks."""
