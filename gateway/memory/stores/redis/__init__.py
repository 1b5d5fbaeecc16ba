"""Journal, sessions and traces that many gateways and writers share: one Redis."""

from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.journal import RedisJournal
from gateway.memory.stores.redis.sessions import RedisSessions

__all__ = ["Connection", "RedisJournal", "RedisSessions"]
