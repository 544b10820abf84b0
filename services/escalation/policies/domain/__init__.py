"""Pure decisions about policies: which step begins when, and whom it reaches."""
