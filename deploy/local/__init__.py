"""The local stack: a real Kafka, a real PostgreSQL and the services on this machine, without
Docker.
"""
