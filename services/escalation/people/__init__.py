"""People: users, teams and how they can be reached."""
