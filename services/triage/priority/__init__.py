"""Priority: impact and urgency, each with its reasons."""
