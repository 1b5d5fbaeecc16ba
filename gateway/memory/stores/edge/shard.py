"""One Qdrant Edge shard on disk: made, opened, checked, rewritten. Knows directories and the engine, not memories.

Measured: an update that has returned survives kill -9 by the engine's write-ahead log alone (no flush needed).
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    Modifier,
    PayloadSchemaType,
    Point,
    ScrollRequest,
    UpdateOperation,
)

from gateway.errors import DataDirectoryRefused
from gateway.memory.stores.edge.points import INDEXED_WORDS

_FORMAT = 1
_PAGE = 256


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else opens this directory meanwhile; DataDirectoryRefused when somebody has."""
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirectoryRefused(
                f"{path} is in use by another process: stop it, or set another MNEME_DATA."
            ) from None
        yield
    finally:
        os.close(descriptor)


def check_stamp(path: Path, identity: str, dimension: int) -> None:
    """Stamp a new directory with its embedder; refuse one that another embedder filled."""
    stamp = {"format": _FORMAT, "embedder": identity, "dimension": dimension}
    file = path / "stamp.json"
    if not file.exists():
        if (path / "shard").exists():
            raise DataDirectoryRefused(f"{path} has no stamp.json: it is not Mneme's, or damaged. {_mend(path)}")
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(stamp))
        draft.replace(file)
        return
    try:
        found = json.loads(file.read_text())
    except ValueError:
        raise DataDirectoryRefused(f"{file} is damaged. {_mend(path)}") from None
    if found != stamp:
        raise DataDirectoryRefused(
            f"{path} was filled by embedder {found.get('embedder')} ({found.get('dimension')} dimensions), but "
            f"{identity} ({dimension}) is configured. Configure the former one; or export every user "
            "(GET /admin/export) with it, move the directory away, and import with the new one."
        )


def open_shard(path: Path, dimension: int) -> EdgeShard:
    """The shard below `path`, made if there is none. DataDirectoryRefused when the engine cannot read it."""
    _finish_swap(path)
    shard = path / "shard"
    try:
        return EdgeShard.load(str(shard)) if shard.exists() else _create(shard, dimension)
    except (
        Exception
    ) as failed:  # the engine raises bare Exceptions; whatever it is, the operator must hear how to mend it
        raise DataDirectoryRefused(f"{shard} cannot be opened ({failed}). {_mend(path)}") from failed


def rewrite(path: Path, shard: EdgeShard, dimension: int) -> EdgeShard:
    """Copy what is left of `shard` into new files and drop the old ones: only so does deleted text leave the disk,
    because the engine keeps deleted points and its log for a while. Returns the new shard; the old one is closed."""
    fresh_path, old_path = path / "shard.new", path / "shard.old"
    shutil.rmtree(fresh_path, ignore_errors=True)
    fresh = _create(fresh_path, dimension)
    offset = None
    while True:
        records, offset = shard.scroll(ScrollRequest(offset=offset, limit=_PAGE, with_payload=True, with_vector=True))
        if records:
            points = [Point(record.id, record.vector or {}, record.payload) for record in records]
            fresh.update(UpdateOperation.upsert_points(points))
        if offset is None:
            break
    fresh.flush()
    fresh.close()
    (path / "shard").rename(old_path)
    fresh_path.rename(path / "shard")
    shutil.rmtree(old_path)
    return EdgeShard.load(str(path / "shard"))


def _finish_swap(path: Path) -> None:
    """A rewrite that was cut by a crash is finished, or undone."""
    shutil.rmtree(path / "shard.new", ignore_errors=True)
    old = path / "shard.old"
    if (path / "shard").exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            old.rename(path / "shard")


def _create(path: Path, dimension: int) -> EdgeShard:
    path.mkdir(parents=True)
    dense = {name: EdgeVectorParams(size=dimension, distance=Distance.Cosine) for name in ("dense_turn", "dense_near")}
    sparse = {name: EdgeSparseVectorParams(modifier=Modifier.Idf) for name in ("bm25_turn", "bm25_near")}
    shard = EdgeShard.create(str(path), EdgeConfig(vectors=dense, sparse_vectors=sparse))
    for name in INDEXED_WORDS:
        shard.update(UpdateOperation.create_field_index(name, PayloadSchemaType.Keyword))
    shard.update(UpdateOperation.create_field_index("seq", PayloadSchemaType.Integer))
    shard.update(UpdateOperation.create_field_index("pinned", PayloadSchemaType.Bool))
    return shard


def _mend(path: Path) -> str:
    return f"Restore {path} from a backup, or move it away to start with an empty memory."
