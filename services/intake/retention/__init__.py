"""How long intake keeps what is over."""
