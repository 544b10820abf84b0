"""Learn and prove."""
