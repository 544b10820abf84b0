"""How long reporting keeps incidents and their timelines."""
