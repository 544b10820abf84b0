"""Plumbing and vocabulary that two or more services use. It takes no decision about incidents."""
