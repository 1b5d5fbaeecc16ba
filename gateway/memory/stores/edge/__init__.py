"""The embedded memory store: Qdrant's engine inside this process."""

from gateway.memory.stores.edge.indexes import Directories
from gateway.memory.stores.edge.store import EdgeStore

__all__ = ["Directories", "EdgeStore"]
