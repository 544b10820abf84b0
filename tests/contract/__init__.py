"""docs/contracts matches the code, breaks nothing that was released, and others can read it."""
