"""What runs a service: settings, clock, logs, health, the command line."""
