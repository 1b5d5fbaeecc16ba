"""The embedded worker: an OpenAI-compatible server with no model that quotes its prompt. Never imports the gateway."""
