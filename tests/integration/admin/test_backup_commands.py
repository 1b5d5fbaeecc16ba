"""`mneme backup` and `mneme restore`: into a file and out of one; a file that has its name is a whole backup."""

import asyncio
import gzip
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.backup.client import back_up, restore
from gateway.backup.lines import Counts, Head, encode
from gateway.errors import BackupFailed
from tests.support.admin import Desk, open_desk
from tests.support.gateway import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD, END = encode(Head(1, "0.1.0", "words", 1.0)), encode(Counts())


async def mneme(*words: str, given: bytes = b"", **knobs: str) -> tuple[int, bytes, str]:
    """Runs the command: its exit status, what it put out, and what it said of it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MNEME_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        cwd=ROOT,
        env=env | knobs,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate(given)
    assert process.returncode is not None
    return process.returncode, out, said.decode()


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[str]:
    """The URL of a server that answers everything with these bytes and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(pieces)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def chunk(piece: bytes) -> bytes:
    """As chunked transfer puts it; the last one is empty."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"


def only(folder: Path) -> Path:
    """The one file there."""
    (file,) = folder.iterdir()
    return file


def mode(file: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(file.stat().st_mode)


async def test_the_commands_move_everything(desk: Desk, tmp_path: Path) -> None:
    """Through a compressed file that is its owner's only; both say how much it was."""
    await desk.chat("ada", "My sister keeps bees in Riga.", session="talk")
    file = tmp_path / "backup.jsonl.gz"
    saved = await mneme("backup", str(file), "--url", desk.gateway.url)
    async with open_desk(tmp_path / "other") as other:
        taken = await mneme("restore", str(file), "--url", other.gateway.url)
        again = await mneme("restore", str(file), "--url", other.gateway.url)
        hits = (await other.get("/search", user="ada", q="bees?"))["hits"]

    assert saved == (0, b"Backed up 0 tenants, 0 keys, 1 turns, 1 memories, 1 placements.\n", "")
    assert taken == (0, b"Restored 0 tenants, 0 keys, 1 turns, 1 memories, 1 placements.\n", "")
    assert again[0] == 1
    assert again[2].startswith("mneme: A backup is restored where there are no memories and no turns")
    assert hits[0]["memory"]["text"] == "My sister keeps bees in Riga."
    assert mode(file) == 0o600
    assert gzip.decompress(file.read_bytes()).startswith(b'{"mneme"')


async def test_they_speak_through_pipes(desk: Desk, tmp_path: Path) -> None:
    """What there is to say goes where the backup does not."""
    status, lines, said = await mneme("backup", "-", "--url", desk.gateway.url)
    async with open_desk(tmp_path) as other:
        taken = await mneme("restore", "-", "--url", other.gateway.url, given=lines)

    assert (status, said.partition(" ")[0]) == (0, "Backed")
    assert lines.startswith(b'{"mneme"')
    assert (taken[0], taken[2].partition(" ")[0]) == (0, "Restored")


async def test_the_admin_key_opens(tmp_path: Path) -> None:
    """That of the environment; without it the door's words are told, and no file is left."""
    file = tmp_path / "backups" / "one"
    file.parent.mkdir()
    async with open_desk(tmp_path / "data", admin_key="open sesame") as desk:
        refused = await mneme("backup", str(file), "--url", desk.gateway.url)
        left = [*file.parent.iterdir()]
        saved = await mneme("backup", str(file), "--url", desk.gateway.url, MNEME_ADMIN_KEY="open sesame")

    assert (refused[0], refused[1], left) == (1, b"", [])
    assert "MNEME_ADMIN_KEY" in refused[2]
    assert saved[0] == 0


@pytest.mark.parametrize(
    "pieces",
    [
        (STREAM, chunk(HEAD)),
        (STREAM, chunk(HEAD), chunk(END)),
        (STREAM, chunk(HEAD), chunk(b"")),
        (STREAM, chunk(HEAD), chunk(END[:-1]), chunk(b"")),
        (STREAM, chunk(HEAD), chunk(encode(Counts(turns=1))), chunk(b"")),
        (STREAM, chunk(b"<html>welcome</html>"), chunk(b"")),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nno!",),
        (b"HTTP/1.1 503 Later\r\ncontent-length: 2\r\n\r\n{}",),
        (b"nonsense",),
        (),
    ],
)
async def test_a_backup_that_is_not_whole_gets_no_name(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    """A file of that name stays as it was."""
    file = tmp_path / "backup.gz"
    file.write_text("the one before")
    async with answering(*pieces) as url:
        with pytest.raises(BackupFailed):
            await back_up(url, "", str(file), print)

    assert only(tmp_path).read_text() == "the one before"


async def test_nobody_at_that_address_is_told(tmp_path: Path) -> None:
    """With the address."""
    status, _, said = await mneme("backup", str(tmp_path / "file"), "--url", "http://127.0.0.1:9")

    assert status == 1
    assert said.startswith("mneme: http://127.0.0.1:9 did not answer")
    assert not (tmp_path / "file").exists()


async def test_a_folder_that_is_not_there_is_told(desk: Desk, tmp_path: Path) -> None:
    """As the system does."""
    status, _, said = await mneme("backup", str(tmp_path / "nowhere" / "file"), "--url", desk.gateway.url)

    assert (status, "No such file or directory" in said) == (1, True)


@pytest.mark.parametrize("damage", ["cut", "a line less", "a byte less", "packed and cut", "not packed", "nothing"])
async def test_a_file_that_is_not_whole_is_not_sent(tmp_path: Path, damage: str) -> None:
    """Whoever would have got it is not even asked."""
    packed = "packed" in damage
    file = tmp_path / ("backup.gz" if packed else "backup")
    spoilt = {
        "cut": HEAD,
        "a line less": HEAD + encode(Counts(turns=1)),
        "a byte less": (HEAD + END)[:-1],
        "packed and cut": gzip.compress(HEAD + END)[:-9],
        "not packed": HEAD + END,
        "nothing": b"",
    }
    file.write_bytes(spoilt[damage])
    with pytest.raises(BackupFailed, match=str(file)):
        await restore("http://127.0.0.1:9", "", str(file), print)
