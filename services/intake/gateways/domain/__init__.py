"""What is read out of the bodies of senders, and how their signatures are checked. Pure."""
