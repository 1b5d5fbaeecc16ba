"""The directory of session files: what is written is read again, and nothing else is."""

import json
import os
import resource
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from workers.kv.keep import session_key
from workers.vllm_plugin.sessions import session_arguments
from workers.vllm_plugin.sessions.folder import Content, Folder, Unreadable

KEY = session_key("tenant", "session")
ROOMY = 1 << 20


def content(seed: int = 0, number: int = 6) -> Content:
    """A context of `number` blocks of which two groups keep some."""
    chance = np.random.default_rng(seed)
    layers = {
        "layer.0": chance.integers(0, 256, (3, 64), np.uint8),
        "layer.1": chance.integers(0, 256, (number, 64), np.uint8),
    }
    hashes = tuple(bytes([seed]) * 31 + bytes([at]) for at in range(number))
    return Content({"model": "m", "policy": "p"}, hashes, ((range(1), range(3, 5)), (range(number),)), layers)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty one."""
    made = Folder(tmp_path / "sessions", ROOMY)
    made.open()
    return made


def path(folder: Folder, key: str = KEY) -> Path:
    """Where a session's file lies."""
    return folder._at / f"{key}.safetensors"


def test_what_was_saved_is_loaded(folder: Folder) -> None:
    """Every layer's rows, and what the file says of itself."""
    saved = content()
    size, evicted = folder.save(KEY, saved)

    kept = folder.peek(KEY)

    assert kept is not None
    assert (kept.facts, kept.hashes, kept.groups) == (saved.facts, saved.hashes, saved.groups)
    assert kept.size == size == path(folder).stat().st_size
    assert evicted == 0
    loaded = folder.load(KEY, kept.digest)
    assert {name: rows.tolist() for name, rows in loaded.items()} == {
        name: rows.tolist() for name, rows in saved.layers.items()
    }


def test_a_group_may_be_empty(folder: Folder) -> None:
    """No sink, no window: nothing but the names is in the file."""
    bare = replace(content(), groups=((), ()), layers={"layer.0": np.empty((0, 64), np.uint8)})
    folder.save(KEY, bare)

    kept = folder.peek(KEY)

    assert kept is not None
    assert kept.groups == ((), ())
    assert folder.load(KEY, kept.digest)["layer.0"].shape == (0, 64)


def test_the_file_is_what_its_name_says(folder: Folder) -> None:
    """The library that the format comes from reads it; nothing in it is code."""
    saved = content()
    folder.save(KEY, saved)

    assert load_file(path(folder))["layer.1"].tolist() == saved.layers["layer.1"].tolist()


def test_only_the_owner_may_read(folder: Folder) -> None:
    """File and directory."""
    folder.save(KEY, content())

    assert stat.S_IMODE(path(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder._at.stat().st_mode) == 0o700


def test_without_a_file_there_is_nothing(folder: Folder) -> None:
    """And that is no error."""
    assert folder.peek(KEY) is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.6, 0.99])
def test_a_torn_file_is_unreadable(folder: Folder, share: float) -> None:
    """However much of it is left."""
    folder.save(KEY, content())
    whole = path(folder).read_bytes()
    path(folder).write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(Unreadable):
        folder.peek(KEY)


def test_a_changed_byte_is_noticed_and_the_file_leaves(folder: Folder) -> None:
    """A file that looks whole but is not would be a wrong answer."""
    folder.save(KEY, content())
    kept = folder.peek(KEY)
    assert kept is not None
    data = bytearray(path(folder).read_bytes())
    data[-5] ^= 1
    path(folder).write_bytes(data)

    with pytest.raises(Unreadable, match="not those that were written"):
        folder.load(KEY, kept.digest)
    assert folder.peek(KEY) is None


def test_a_changed_claim_is_noticed(folder: Folder) -> None:
    """Facts and places count as content: rows must not be taken for other blocks'."""
    folder.save(KEY, content())
    data = path(folder).read_bytes()
    path(folder).write_bytes(data.replace(b"[[[0, 1], [3, 5]]", b"[[[0, 1], [2, 4]]"))
    kept = folder.peek(KEY)
    assert kept is not None
    assert kept.groups[0] == (range(1), range(2, 4))

    with pytest.raises(Unreadable):
        folder.load(KEY, kept.digest)


@pytest.mark.parametrize("groups", ["{}", "[[[0]]]", "[[1]]", "not json", '[[["a", "b"]]]'])
def test_a_foreign_file_is_unreadable(folder: Folder, groups: str) -> None:
    """Valid safetensors that was never a session's, or claims nonsense."""
    hashes = np.zeros((1, 32), np.uint8)
    about = {"format": "mneme-session-1", "facts": "[]", "groups": groups, "digest": "0"}
    save_file({"hashes": hashes}, path(folder), metadata=about if groups != "{}" else {"format": "other"})

    with pytest.raises(Unreadable):
        folder.peek(KEY)


def test_a_file_replaced_after_the_look_is_not_loaded(folder: Folder) -> None:
    """The rows that were counted on are others now; the new file stays."""
    folder.save(KEY, content(1))
    kept = folder.peek(KEY)
    folder.save(KEY, content(2))
    assert kept is not None

    with pytest.raises(Unreadable, match="replaced"):
        folder.load(KEY, kept.digest)
    assert folder.peek(KEY) is not None


def test_a_file_that_left_after_the_look_is_not_loaded(folder: Folder) -> None:
    """Room was needed, or the user was forgotten."""
    folder.save(KEY, content())
    kept = folder.peek(KEY)
    folder.forget(KEY)
    assert kept is not None

    with pytest.raises(Unreadable):
        folder.load(KEY, kept.digest)


def test_a_shorter_context_does_not_replace_a_longer_one(folder: Folder) -> None:
    """An abandoned request has computed less of the same."""
    longer, shorter = content(number=6), content(number=4)
    folder.save(KEY, longer)

    assert folder.save(KEY, shorter) == (0, 0)
    kept = folder.peek(KEY)
    assert kept is not None
    assert len(kept.hashes) == 6


def test_another_context_or_engine_does_replace_it(folder: Folder) -> None:
    """The user began anew, or the policy changed."""
    folder.save(KEY, content(1, number=6))

    assert folder.save(KEY, content(2, number=4))[0] > 0
    assert folder.save(KEY, replace(content(2, number=4), facts={"model": "other"}))[0] > 0


def test_a_torn_file_is_replaced(folder: Folder) -> None:
    """It does not stand in the way of the next turn's."""
    path(folder).write_bytes(b"torn")

    assert folder.save(KEY, content())[0] > 0
    assert folder.peek(KEY) is not None


def test_the_oldest_sessions_leave_for_new_ones(tmp_path: Path) -> None:
    """The directory stays within its bound."""
    folder = Folder(tmp_path, ROOMY)
    size, _ = folder.save(KEY, content())
    folder.forget(KEY)
    keys = [session_key("tenant", str(at)) for at in range(5)]
    tight = Folder(tmp_path, 3 * size)
    for at, key in enumerate(keys):
        tight.save(key, content(at))
        os.utime(path(tight, key), (at, at))

    assert [tight.peek(key) is not None for key in keys] == [False, False, True, True, True]
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 3 * size


def test_a_session_larger_than_the_bound_is_not_written(tmp_path: Path) -> None:
    """It would drive all others out and then leave itself."""
    folder = Folder(tmp_path, 100)

    assert folder.save(KEY, content()) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_stay(tmp_path: Path) -> None:
    """Only session files count and leave."""
    (tmp_path / "notes.txt").write_bytes(b"x" * 10_000)
    folder = Folder(tmp_path, 3000)
    for at in range(4):
        folder.save(session_key("tenant", str(at)), content(at))

    assert (tmp_path / "notes.txt").exists()


def test_forgetting_removes_the_file(folder: Folder) -> None:
    """By salt and session id; a second time there is nothing to forget."""
    folder.save(KEY, content())

    assert folder.forget(session_key("tenant", "session"))
    assert not folder.forget(session_key("tenant", "session"))
    assert list(folder._at.iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(folder: Folder) -> None:
    """As on a full disk: the error is the caller's to count; the old file stays."""
    folder.save(KEY, content(1))
    before = path(folder).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.save(KEY, content(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [each.name for each in folder._at.iterdir()] == [path(folder).name]
    assert path(folder).read_bytes() == before


def test_what_a_dead_writer_left_is_cleared_away_later(folder: Folder) -> None:
    """Not before an hour: another worker may still be at it."""
    dead, alive = folder._at / "a.1.2.part", folder._at / "b.1.2.part"
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    os.utime(dead, (1, 1))

    folder.open()

    assert [each.name for each in folder._at.iterdir()] == [alive.name]


def test_readers_never_see_a_half_written_file(folder: Folder) -> None:
    """A writer replaces the file again and again; every look finds a whole one."""
    folder.save(KEY, content(0))
    seen: set[bytes] = set()
    stop = threading.Event()

    def write() -> None:
        seed = 1
        while not stop.is_set():
            folder.save(KEY, content(seed % 200))
            seed += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        looks, until = 0, time.monotonic() + 20
        while looks < 200 or (len(seen) == 1 and time.monotonic() < until):  # a disk may take its time
            kept = folder.peek(KEY)
            assert kept is not None
            seen.add(kept.hashes[0])
            looks += 1
    finally:
        stop.set()
        writer.join()

    assert len(seen) > 1


def test_the_engine_is_told_where_sessions_lie(tmp_path: Path) -> None:
    """As plain values: the launcher writes them as JSON. A failed load is recomputed, never an error."""
    told = json.loads(json.dumps(session_arguments(tmp_path, 5)))["kv_transfer_config"]

    assert told["kv_connector_extra_config"] == {"directory": str(tmp_path), "bound": 5}
    assert told["kv_load_failure_policy"] == "recompute"
