"""Commands about incidents: their alerts, and the decisions about them."""
