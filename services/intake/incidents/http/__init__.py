"""The API of incidents: their alerts, and the decisions about them."""
