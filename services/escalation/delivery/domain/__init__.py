"""Pure decisions about the delivery of pages."""
