"""Dead letters: written by the service that gave up, read and given back by operators."""
