"""Dead letters: written by the service that failed, read and redriven by operators."""
