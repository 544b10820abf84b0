"""What an incident's events add up to. Pure: no I/O, no clock."""
