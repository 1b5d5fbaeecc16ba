"""The embedded journal, sessions, traces and agenda: one SQLite file in WAL mode."""

from gateway.memory.stores.sqlite.agenda import SqliteAgenda
from gateway.memory.stores.sqlite.database import Database
from gateway.memory.stores.sqlite.journal import SqliteJournal
from gateway.memory.stores.sqlite.sessions import SqliteSessions

__all__ = ["Database", "SqliteAgenda", "SqliteJournal", "SqliteSessions"]
