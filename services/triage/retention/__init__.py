"""How long triage keeps its decisions."""
