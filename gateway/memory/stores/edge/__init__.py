"""The embedded memory store: Qdrant's engine inside this process."""

from gateway.memory.stores.edge.store import EdgeStore

__all__ = ["EdgeStore"]
