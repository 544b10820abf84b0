"""Generators of the published contract: JSON Schemas, AsyncAPI, OpenAPI and docs/telemetry.md.

`python -m deploy.contracts.generate` writes docs/contracts and docs/telemetry.md from the code. It
never edits a sample or a released schema.
"""
