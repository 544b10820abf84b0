"""Channels: one module per way to reach a person, which declares it as `CHANNEL`.

A module in this package is found by itself. One of another distribution names itself as an entry
point of the group `tocsin.channels`. Nothing else is edited for a new one.
"""
