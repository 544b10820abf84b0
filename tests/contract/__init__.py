"""docs/contracts matches the code, breaks nothing that was released, and other readers accept it."""
