-- With thousands of pages waiting, the sender must find the next due one, and leases that ended, without reading them all.
CREATE INDEX deliveries_next ON deliveries (due_at) WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_sending ON deliveries (due_at) WHERE status = 'sending';
