"""What other tools send, brought to Tocsin's own signals: one module a format, pure."""
