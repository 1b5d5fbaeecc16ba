"""Mneme's gateway: an OpenAI-compatible proxy that remembers. Start reading at turn.py."""

__version__ = "0.1.0"
