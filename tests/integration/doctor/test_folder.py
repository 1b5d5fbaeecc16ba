"""The data directory as doctor sees it: who may write and read it, how much room there is, whether it is in use."""

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.doctor import folder
from gateway.doctor.finding import Finding
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database
from gateway.seal import open_secret
from tests.contracts.samples import DIMENSION, entry, memory
from tests.support.findings import told


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory as a start makes it, with a secret."""
    (tmp_path / "data").mkdir(mode=0o700)
    open_secret(tmp_path / "data" / "secret")
    return tmp_path / "data"


def look(data: Path, *, left: int = 1 << 40) -> list[Finding]:
    """Everything is kept there, and so many bytes are free."""
    return folder.look(data, remembers=True, own_secret=True, left=lambda _: left)


def test_a_new_directory_is_fine(tmp_path: Path, data: Path) -> None:
    """So is one that a start would make, and then there is nothing to say about what lies in it."""
    assert {finding.state for finding in look(data)} == {"ok"}
    assert "in use by nobody" in told(look(data), "data directory")
    absent = look(tmp_path / "not" / "yet")
    assert [finding.name for finding in absent] == ["data directory", "disk"]
    assert "the first start makes it" in told(absent, "data directory")
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_what_cannot_be_the_directory_fails(tmp_path: Path, path: str) -> None:
    """A file in its place, or above it."""
    (tmp_path / "file").write_text("")

    assert told(look(tmp_path / path), "data directory").startswith("fail")
    assert "MNEME_DATA" in told(look(tmp_path / path), "data directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("path", [".", "not/yet"])
def test_a_directory_of_somebody_else_fails(path: str) -> None:
    """As a user that may not write there."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                os.setuid(65534)
                os.write(writing, told(look(Path(above) / path), "data directory").encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading) as said:
            assert re.match("fail: .*MNEME_DATA", said.read())


async def test_a_directory_in_use_is_told(data: Path) -> None:
    """Whichever store is open; asking takes nothing from who has it, and keeps nobody out afterwards."""
    for _ in range(2):
        async with Database.open(data / "mneme.db", durability="process"):
            assert "in use by a running" in told(look(data), "data directory")
        async with EdgeStore.open(data / "memories", embedder_identity="test", dimension=DIMENSION):
            assert "in use by a running" in told(look(data), "data directory")
        assert "in use by nobody" in told(look(data), "data directory")


async def test_a_disk_that_is_nearly_full_is_told(data: Path) -> None:
    """By what a graph would need, and by what a turn needs."""
    async with EdgeStore.open(data / "memories", embedder_identity="test", dimension=DIMENSION) as store:
        await store.put([entry(memory(f"m{n}")) for n in range(200)])

    assert told(look(data, left=100 << 20), "disk").startswith("fail")
    assert told(look(data, left=1 << 30), "disk").startswith("warn")
    assert told(look(data, left=1 << 40), "disk").startswith("ok")
    with (data / "memories" / "sparse").open("wb") as file:
        file.truncate(4 << 30)
    assert "times that" in told(look(data, left=12 << 30), "disk")


def test_what_others_may_read_is_told(data: Path) -> None:
    """By name; files in a directory that only its owner may enter are kept by that."""
    (data / "mneme.db").touch(mode=0o644)
    assert told(look(data), "permissions").startswith("ok")
    data.chmod(0o755)
    assert told(look(data), "permissions").startswith("warn: others on this machine may get at mneme.db → chmod 700")
    (data / "mneme.db").chmod(0o600)
    assert told(look(data), "permissions").startswith("ok")
    (data / "secret").chmod(0o640)
    assert "secret" in told(look(data), "permissions")


def test_a_secret_is_looked_at(data: Path) -> None:
    """Damaged it refuses to start; gone while turns are there, certificates can no longer be verified. It is not
    shown."""
    assert (data / "secret").read_bytes().hex() not in str(look(data))
    (data / "secret").write_bytes(b"short")
    assert told(look(data), "secret").startswith("fail")
    (data / "secret").unlink()
    assert told(look(data), "secret").startswith("ok")
    (data / "mneme.db").touch()
    assert told(look(data), "secret").startswith("warn")
    given = folder.look(data, remembers=True, own_secret=False)
    assert "secret" not in [finding.name for finding in given]
