"""The memory store of many gateways: a Qdrant server or cluster."""

from gateway.memory.stores.qdrant.indexes import Collections
from gateway.memory.stores.qdrant.layout import Layout
from gateway.memory.stores.qdrant.server import Connection, Server, connect
from gateway.memory.stores.qdrant.store import QdrantStore

__all__ = ["Collections", "Connection", "Layout", "QdrantStore", "Server", "connect"]
