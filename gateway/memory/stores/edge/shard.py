"""One Qdrant Edge shard on disk: made, opened, checked, rewritten. Knows directories and the engine, not memories.

Measured: an update that has returned survives kill -9 by the engine's write-ahead log alone (no flush needed).
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FloatIndexParams,
    HnswIndexConfig,
    IntegerIndexParams,
    KeywordIndexParams,
    Modifier,
    Point,
    ScalarQuantizationConfig,
    ScalarType,
    ScrollRequest,
    UpdateOperation,
)

from gateway.errors import DataDirectoryRefused, MemoryUnavailable
from gateway.memory.stores.naming import filled_by_another
from gateway.memory.stores.points import INDEXED_NUMBERS, INDEXED_WORDS

T = TypeVar("T")
_FORMAT = 1
_PAGE = 256
# Scanning so many vectors takes a millisecond or two, and so do the links of a graph: beyond, a scope gets a graph.
SCANNED = 4_000
# Links per vector and candidates looked at while linking: with less of either, fewer of the true best are found.
_LINKS, _LINKING = 16, 100
# So many pieces may lie side by side before they are merged, which links them anew.
_PIECES = 3
_COPIES = "graph-"
# A copy, the links in it, and as much again for what else is on the disk.
_ROOM = 3


def named(job: Callable[[], T]) -> T:
    """Run the job; whatever the engine raises becomes MemoryUnavailable. Only for threads of our own: the engine's
    panics are BaseExceptions, and on the main thread that would catch more than panics."""
    try:
        return job()
    except MemoryUnavailable:
        raise
    except BaseException as failed:  # the engine raises bare Exceptions and panics: this is where they get a name
        raise MemoryUnavailable(f"The embedded memory store failed: {failed}") from failed


def check_stamp(path: Path, identity: str, dimension: int) -> None:
    """Stamp a new directory with its embedder; refuse one that another embedder filled."""
    stamp = {"format": _FORMAT, "embedder": identity, "dimension": dimension}
    file = path / "stamp.json"
    if not file.exists():
        if (path / "shard").exists():
            raise DataDirectoryRefused(f"{path} has no stamp.json: it is not Mneme's, or damaged. {_mend(path)}")
        _replace(file, stamp)
        return
    found = read_stamp(path)
    if found.get("format") != _FORMAT:
        raise DataDirectoryRefused(
            f"{path} has format {found.get('format')}, this Mneme reads {_FORMAT}: run the version that wrote it."
        )
    if found != stamp:
        raise DataDirectoryRefused(filled_by_another(str(path), found, stamp))


def read_stamp(path: Path) -> dict[str, object]:
    """The stamp in a directory that has one. DataDirectoryRefused when it is damaged."""
    return _record(path / "stamp.json")


def open_shard(path: Path, dimension: int) -> EdgeShard:
    """The shard below `path`, made if there is none. DataDirectoryRefused when the engine cannot read it, or when it
    holds less than at its last close."""
    for left in path.glob(f"{_COPIES}*"):
        if left != live(path):
            shutil.rmtree(left, ignore_errors=True)
    _settle(path)
    _finish_swap(path)
    shard, closed = path / "shard", path / "closed.json"
    try:
        if not shard.exists():
            named(lambda: _create(path / "shard.new", dimension).close())
            (path / "shard.new").rename(shard)
        opened = named(lambda: EdgeShard.load(str(shard)))
        found = named(lambda: opened.count(CountRequest(exact=True)))
    except MemoryUnavailable as failed:
        raise DataDirectoryRefused(f"{shard} cannot be opened ({failed.message}) {_mend(path)}") from failed
    if closed.exists():
        # The engine opens a shard whose id table was cut short, and silently has fewer points.
        held = _record(closed).get("points")
        if held != found:
            opened.close()
            raise DataDirectoryRefused(f"{shard} is damaged: it holds {found} of {held} memories. {_mend(path)}")
        closed.unlink()
    named(lambda: _index(opened))
    return opened


def close_shard(path: Path, shard: EdgeShard) -> None:
    """Close it, and note how much it holds."""
    try:
        held = named(lambda: shard.count(CountRequest(exact=True)))
    except MemoryUnavailable:  # a swap that failed has closed it
        return
    shard.close()
    _settle(path)
    _replace(path / "closed.json", {"points": held})


def proven(path: Path, dimension: int) -> int:
    """Opens what was copied and closes it again; how many memories it holds. DataDirectoryRefused as above."""
    shard = open_shard(path, dimension)
    held = shard.count(CountRequest(exact=True))
    close_shard(path, shard)
    return held


def mark_for_rewrite(path: Path) -> None:
    """Something is about to be deleted, so its bytes must leave the files; remembered across a crash."""
    (path / "deleted").touch()


def wants_rewrite(path: Path) -> bool:
    """Whether something was deleted since the files were written anew."""
    return (path / "deleted").exists()


def copy_rest(path: Path, shard: EdgeShard, dimension: int) -> None:
    """Copy what is left of `shard` into new files beside it: only so does deleted text leave the disk, because the
    engine keeps deleted points and its log for a while."""
    fresh_path = path / "shard.new"
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


def swap(path: Path) -> EdgeShard:
    """Put the copy in the place of the shard, which must be closed, and open it."""
    _settle(path)
    (path / "shard").rename(path / "shard.old")
    (path / "shard.new").rename(path / "shard")
    shutil.rmtree(path / "shard.old")
    (path / "deleted").unlink()
    return EdgeShard.load(str(path / "shard"))


def live(path: Path) -> Path:
    """Where the files of the shard in use are."""
    try:
        return path / (path / "live").read_text()
    except FileNotFoundError:
        return path / "shard"


def copy_whole(path: Path, shard: EdgeShard) -> Path:
    """A copy of the shard's files as they stand, in a directory of its own. Nothing may be written meanwhile."""
    room = shutil.disk_usage(path).free
    files = [file for file in live(path).rglob("*") if file.is_file()]
    if room < _ROOM * sum(file.stat().st_size for file in files):
        raise MemoryUnavailable(f"The disk of {path} has only {room >> 20} MiB left, too little for a copy.")
    shard.flush()
    copy = Path(mkdtemp(prefix=_COPIES, dir=path))
    try:
        shutil.copytree(live(path), copy, dirs_exist_ok=True)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    return copy


def copy_out(path: Path, shard: EdgeShard, to: Path) -> None:
    """Copy all that `open_shard` needs into a new directory. Nothing may be written meanwhile. Links would not do: the
    engine changes most of its files where they are."""
    shard.flush()
    to.mkdir(mode=0o700)
    # The stamp, and marks: what lies beside the shard says what has to be done about it.
    for file in path.iterdir():
        if file.is_file() and file.name not in ("lock", "live"):
            shutil.copy2(file, to)
    shutil.copytree(live(path), to / "shard")
    _replace(to / "closed.json", {"points": shard.count(CountRequest(exact=True))})


def make_live(path: Path, copy: Path) -> None:
    """From now on, also after a crash or a power cut, these files are the shard. They must be on the disk."""
    draft = path / "live.new"
    with draft.open("w") as file:
        file.write(copy.name)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path / "live")
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _settle(path: Path) -> None:
    """The files in use take the shard's usual place. They must be closed."""
    used = live(path)
    if used.name.startswith(_COPIES) and used.exists():
        shutil.rmtree(path / "shard", ignore_errors=True)
        used.rename(path / "shard")
    (path / "live").unlink(missing_ok=True)


def _finish_swap(path: Path) -> None:
    """A rewrite that was cut by a crash is finished, or undone; it stays marked, so it is done again."""
    shutil.rmtree(path / "shard.new", ignore_errors=True)
    old = path / "shard.old"
    if (path / "shard").exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            old.rename(path / "shard")


def _create(path: Path, dimension: int) -> EdgeShard:
    """Without links between all vectors, only between those of one scope: there are none to make, and none to walk in
    vain, for scopes that are small enough to be scanned."""
    path.mkdir(parents=True)
    scanned_kib = max(SCANNED * dimension * 4 // 1024, 1)
    links = HnswIndexConfig(m=0, payload_m=_LINKS, ef_construct=_LINKING, full_scan_threshold=scanned_kib)
    # Links are made, and walked, over bytes instead of floats, in half the time; the best are then scored in full.
    rounded = ScalarQuantizationConfig(type=ScalarType.Int8, quantile=0.99)
    dense = {
        name: EdgeVectorParams(size=dimension, distance=Distance.Cosine, hnsw_config=links, quantization_config=rounded)
        for name in ("dense_turn", "dense_near")
    }
    sparse = {name: EdgeSparseVectorParams(modifier=Modifier.Idf) for name in ("bm25_turn", "bm25_near")}
    when = EdgeOptimizersConfig(indexing_threshold=scanned_kib, default_segment_number=_PIECES)
    shard = EdgeShard.create(str(path), EdgeConfig(vectors=dense, sparse_vectors=sparse, optimizers=when))
    _index(shard)
    return shard


def _index(shard: EdgeShard) -> None:
    """What filters use and is not indexed: all of it in a new shard, in an older one what has come since."""
    apart = {"scope": KeywordIndexParams(is_tenant=True, enable_hnsw=True)}
    word, number = KeywordIndexParams(is_tenant=False, enable_hnsw=False), IntegerIndexParams(enable_hnsw=False)
    fields = dict.fromkeys(INDEXED_WORDS, word) | apart | dict.fromkeys(INDEXED_NUMBERS, number)
    there = shard.info().payload_schema
    for name, params in {**fields, "at": FloatIndexParams(enable_hnsw=False)}.items():
        if name not in there:
            shard.update(UpdateOperation.create_field_index(name, params))


def _record(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataDirectoryRefused(f"{file} is damaged. {_mend(file.parent)}")
    return found


def _replace(file: Path, content: dict[str, object]) -> None:
    """At once: a crash leaves the old file or the new one."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(content))
    draft.replace(file)


def _mend(path: Path) -> str:
    return f"Restore {path} from a backup, or move it away to start with an empty memory."
