"""Evaluation on conversations that the user brings: `demo` is a client that talks HTTP, `recall` measures retrieval."""
