"""The local stack: the real Kafka, the real PostgreSQL and the four services, on this machine,
without Docker.
"""
