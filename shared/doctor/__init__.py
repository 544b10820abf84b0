"""`tocsin doctor`: examines a deployment and says what to do. Reads only."""
