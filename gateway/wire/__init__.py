"""OpenAI's language as bytes and JSON. No I/O; knows nothing of memory, tenants or workers."""
