"""The four services. None imports another; they meet on Kafka."""
