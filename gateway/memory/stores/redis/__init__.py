"""Journal, sessions, traces and agenda that many gateways and writers share: one Redis."""

from gateway.memory.stores.redis.agenda import RedisAgenda
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.journal import RedisJournal
from gateway.memory.stores.redis.sessions import RedisSessions

__all__ = ["Connection", "RedisAgenda", "RedisJournal", "RedisSessions"]
