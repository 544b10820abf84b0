"""The canary: a synthetic incident on a schedule, from its signal to its resolution, by the ways
that everybody uses.

It knows Tocsin from outside: intake's HTTP, a page at a receiver of its own, the link in it,
reporting's API.
"""
