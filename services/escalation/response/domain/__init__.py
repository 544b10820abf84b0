"""The response to an incident as frozen state and pure decisions.

A triggered incident always has a `due` step (a timer); an acknowledged one waits on the person who
took it.
"""
