"""Evaluation of a running gateway on conversations that the user brings. A client: it talks HTTP, and nothing else."""
