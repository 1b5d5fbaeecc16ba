"""The stamps of embedded memories against the embedder that is configured. Opens no store."""

from pathlib import Path

from gateway.doctor.finding import Finding
from gateway.memory.ports import Embedder
from gateway.memory.stores import naming
from gateway.memory.stores.edge.indexes import PLAIN, Directories
from gateway.memory.stores.edge.shard import check_stamp


async def look(data: Path, embedder: Embedder) -> list[Finding]:
    """DataDirectoryRefused, with the way out, where a start would be refused."""
    found = await Directories(data).found()
    path = data / naming.read_from(PLAIN, found, embedder.identity)
    if not (path / "stamp.json").exists() and not (path / "shard").exists():
        return [Finding("index", "ok", "not there yet; the first start makes it")]
    check_stamp(path, embedder.identity, embedder.dimension)
    return [Finding("index", "ok", f"{path.name}, filled by {embedder.identity}, {embedder.dimension} dimensions")]
