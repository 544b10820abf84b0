"""What gateways share: the shape of values as senders write them."""
