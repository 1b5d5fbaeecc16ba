"""KV policies as decisions: which blocks of a context a query may still read. Values and tensors; vLLM is never
imported."""
