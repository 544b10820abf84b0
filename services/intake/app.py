"""Where intake's objects are built."""

import logging

log = logging.getLogger(__name__)
_PRUNE_EVERY_SECONDS = 3600
NAME = "intake"
