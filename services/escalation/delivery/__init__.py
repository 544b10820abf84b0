"""Delivery: the ledger of pages, the sender and its channels."""
