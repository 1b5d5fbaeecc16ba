"""Many gateways and writers over Redis and the stand-in store: what they cost and how far behind indexing is."""
