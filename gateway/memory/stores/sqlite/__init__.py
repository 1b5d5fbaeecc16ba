"""The embedded journal, sessions and traces: one SQLite file in WAL mode."""

from gateway.memory.stores.sqlite.database import Database
from gateway.memory.stores.sqlite.journal import SqliteJournal
from gateway.memory.stores.sqlite.sessions import SqliteSessions

__all__ = ["Database", "SqliteJournal", "SqliteSessions"]
