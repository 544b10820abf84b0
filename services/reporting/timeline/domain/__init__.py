"""What the events of an incident amount to. Pure: no I/O, no clock."""
