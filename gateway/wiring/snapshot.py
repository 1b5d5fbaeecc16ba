"""What a snapshot copies, where everything that is remembered lies in the data directory. Knows no route."""

from collections.abc import Sequence
from pathlib import Path

from gateway.backup.snapshot import Copy, Snapshots
from gateway.memory.ports import Journal, MemoryStore
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import SqliteJournal

DATABASE, SECRET = "mneme.db", "secret"


def snapshots(data: Path, journal: Journal, stores: Sequence[MemoryStore]) -> Snapshots | None:
    """None where some of it is kept by a server."""
    if not isinstance(journal, SqliteJournal):
        return None
    copies: dict[str, Copy] = {DATABASE: journal.copy}
    for store in stores:
        if not isinstance(store, EdgeStore):
            return None
        copies[store.name] = store.copy
    return Snapshots(data, copies, (SECRET,))
