"""The events of Tocsin: CloudEvents 1.0 envelopes around versioned, past-tense facts. This is the
public contract.

A breaking change is a new topic version (`tocsin.<producer>.v2`); readers ignore unknown types and
fields.
"""
