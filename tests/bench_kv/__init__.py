"""What KV policies keep and cost, on a model that is small enough to be trained here. Run by `make bench-kv`."""
