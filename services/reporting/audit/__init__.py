"""The audit log: a hash chain per topic-partition, and its verification."""
