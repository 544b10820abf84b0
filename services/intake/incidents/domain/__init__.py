"""What a signal, a timer or a resolution does to incidents: pure decisions over frozen data."""
