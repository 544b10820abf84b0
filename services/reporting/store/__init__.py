"""All SQL of reporting. Functions that write take a connection inside the caller's transaction."""
