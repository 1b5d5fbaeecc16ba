"""`mneme backup` and `mneme restore`: a running gateway's backup into a file, and out of one. Knows HTTP and files, and
no store.

A file gets its name when the backup in it is whole, and is its owner's only. A name that ends in .gz is compressed, and
"-" is standard output or input.
"""

import asyncio
import gzip
import os
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import mkstemp

import httpx

from gateway.backup.lines import Watch
from gateway.errors import BackupFailed, BadRequest

Say = Callable[[str], None]
_STANDARD = "-"
_PIECE = 256 << 10
# To connect, and between two pieces: the gateway may look for users, or embed, for a while.
_TIMEOUT = httpx.Timeout(600, connect=10)


async def back_up(url: str, key: str, file: str, say: Say) -> None:
    """The gateway's backup into the file; unless it is whole the file is as it was before, or not there. BackupFailed,
    or OSError for the file."""
    watch = Watch()
    with _writing(file) as write:
        async with _asking(url, key) as client, client.stream("GET", "/admin/backup") as answer:
            await _check(answer)
            async for piece in answer.aiter_bytes():
                watch.see(piece)
                await asyncio.to_thread(write, piece)
        counts = _counts(watch, f"The backup of {url}")
    say(f"Backed up {counts}.")


async def restore(url: str, key: str, file: str, say: Say) -> None:
    """The backup in the file into the gateway, if it is a whole one. BackupFailed, or OSError for the file."""
    if file != _STANDARD:
        watch = Watch()
        async for piece in _pieces(file):
            watch.see(piece)
        _counts(watch, file)
    async with _asking(url, key) as client:
        headers = {"content-type": "application/x-ndjson"}
        answer = await client.post("/admin/restore", content=_pieces(file), headers=headers)
        await _check(answer)
    say("Restored " + ", ".join(f"{number} {kind}" for kind, number in answer.json().items()) + ".")


@asynccontextmanager
async def _asking(url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as failed:
        raise BackupFailed(f"{url} did not answer, or not to the end: {failed or type(failed).__name__}") from failed


async def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    await answer.aread()
    try:
        raise BackupFailed(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        raise BackupFailed(f"{answer.url} answers with status {answer.status_code}.") from None


def _counts(watch: Watch, what: str) -> str:
    try:
        return str(watch.counts())
    except BadRequest as broken:
        raise BackupFailed(f"{what} cannot be used. {broken.message}") from None


async def _pieces(file: str) -> AsyncIterator[bytes]:
    try:
        with _reading(file) as read:
            while piece := await asyncio.to_thread(read, _PIECE):
                yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as damaged:
        raise BackupFailed(f"{file} is damaged: {damaged}") from damaged


@contextmanager
def _writing(file: str) -> Iterator[Callable[[bytes], object]]:
    if file == _STANDARD:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    descriptor, part = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(path.name, "wb", fileobj=raw) as packed:
                    yield packed.write
            else:
                yield raw.write
            raw.flush()
            os.fsync(raw.fileno())
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)


@contextmanager
def _reading(file: str) -> Iterator[Callable[[int], bytes]]:
    if file == _STANDARD:
        yield sys.stdin.buffer.read
    elif file.endswith(".gz"):
        with gzip.open(file) as packed:
            yield packed.read
    else:
        with Path(file).open("rb") as raw:
            yield raw.read
