"""The canary: reports a synthetic incident on a schedule and follows it from its signal to its
resolution.

It uses only the interfaces that everybody uses: intake's HTTP, pages to a receiver of its own, the
acknowledge link in them, and reporting's API.
"""
