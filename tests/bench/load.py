"""A closed loop of clients over raw sockets, in a process of its own: reads a Job as JSON, prints what it saw as JSON.

Rule: as little work per answer as Python allows, because this process shares a core with the worker.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import uvloop

from tests.bench import words

_GRACE = 20.0
_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"authorization: Bearer %s\r\n%scontent-length: %d\r\n\r\n"
)
_BODY = (
    b'{"model":"bench","messages":[{"role":"system","content":"You are a helpful assistant that answers in one short '
    b'sentence."},{"role":"user","content":"%s"}],"temperature":0.7,"max_tokens":%d,"seed":%d%s}'
)


class Aim(msgspec.Struct, frozen=True):
    """Where to send: a port of this machine. `user` adds X-Mneme-User; `memory` is X-Mneme-Memory ("" for none)."""

    name: str
    port: int
    key: str = "bench"
    user: bool = False
    memory: str = ""


class Job(msgspec.Struct, frozen=True):
    """What to do for `seconds`. With one aim: `clients` at once. With several: one client, which asks each of them in
    turn, in an order shuffled anew for every question. `events` 0 asks for a whole answer, else for a stream of as
    many events, `gap` milliseconds apart."""

    aims: list[Aim]
    seconds: float
    seed: int
    clients: int = 1
    events: int = 0
    gap: int = 0


class Seen(msgspec.Struct):
    """Per aim in the job's order and per answer: milliseconds. `took` seconds passed until the last one was whole;
    `failed` ones were cut or not 200; `skipped` ones named something that memory did not do."""

    millis: list[list[float]]
    took: float = 0.0
    failed: int = 0
    skipped: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(len(millis) for millis in self.millis) / self.took if self.took else 0.0


class Line(asyncio.Protocol):
    """One keep-alive connection. Calls `done(line)` when an answer is whole, or cut."""

    def __init__(self, done: Callable[["Line"], None]) -> None:
        self._done = done
        self._read = b""
        self._need = 0
        self.ok = self.skipped = False
        self.began = self.millis = 0.0
        self.closed = self._waiting = False

    def connection_made(self, transport: Any) -> None:
        """Keep the way out."""
        self.transport: asyncio.Transport = transport

    def send(self, request: bytes) -> None:
        """Ask; no other question may be under way."""
        self._read, self._need, self._waiting = b"", 0, True
        self.began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Look for the end only: by length, or by the last chunk."""
        read = self._read = self._read + data
        if not self._need:
            end = read.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            head = read[:end].lower()
            self.ok, self.skipped = head[9:12] == b"200", b"x-mneme-skipped" in head
            at = head.find(b"\r\ncontent-length:")
            self._need = -1 if at < 0 else end + int(head[at + 17 : head.index(b"\r", at + 17)])
        if self._need < 0:
            self._read = read[-5:]
            whole = self._read == b"0\r\n\r\n"
        else:
            whole = len(read) >= self._need
        if whole:
            self.millis = (time.perf_counter() - self.began) * 1000
            self._waiting = False
            self._done(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """A question under way has failed."""
        self.closed = True
        if self._waiting:
            self.ok = self._waiting = False
            self._done(self)


def request(aim: Aim, job: Job, dice: random.Random) -> bytes:
    """The bytes of one question."""
    stream = b',"stream":true' if job.events else b""
    body = _BODY % (words.question(dice).encode(), job.events or 50, job.gap, stream)
    extra = f"x-mneme-memory: {aim.memory}\r\n" if aim.memory else ""
    if aim.user:
        extra += f"x-mneme-user: {words.user(dice.randrange(words.USERS))}\r\n"
    return _HEAD % (aim.key.encode(), extra.encode(), len(body)) + body


async def work(job: Job) -> Seen:
    """Do the job; it ends at its time, or a little later with the last answer."""
    seen, dice = Seen([[] for _ in job.aims]), random.Random(job.seed)
    began = time.perf_counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(job.seconds + _GRACE):
            await (_crowd(job, seen, dice) if len(job.aims) == 1 else _round(job, seen, dice))
    seen.took = time.perf_counter() - began
    return seen


async def _crowd(job: Job, seen: Seen, dice: random.Random) -> None:
    aim, loop = job.aims[0], asyncio.get_running_loop()
    until, left, idle = time.perf_counter() + job.seconds, job.clients, asyncio.Event()

    def done(line: Line) -> None:
        nonlocal left
        now = time.perf_counter()
        _note(line, seen, 0)
        if line.closed or now > until:
            left -= 1
            line.transport.abort()
            if left <= 0:
                idle.set()
        else:
            line.send(request(aim, job, dice))

    for _ in range(job.clients):
        _, line = await loop.create_connection(lambda: Line(done), "127.0.0.1", aim.port)
        line.send(request(aim, job, dice))
    await idle.wait()


async def _round(job: Job, seen: Seen, dice: random.Random) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def done(_: Line) -> None:
        if not told.done():
            told.set_result(None)

    lines = [(await loop.create_connection(lambda: Line(done), "127.0.0.1", aim.port))[1] for aim in job.aims]
    until, order = time.perf_counter() + job.seconds, list(range(len(lines)))
    while time.perf_counter() < until:
        dice.shuffle(order)
        for place in order:
            told = loop.create_future()
            lines[place].send(request(job.aims[place], job, dice))
            await told
            _note(lines[place], seen, place)
            if lines[place].closed:
                return


def _note(line: Line, seen: Seen, place: int) -> None:
    if line.ok:
        seen.millis[place].append(round(line.millis, 4))
        seen.skipped += line.skipped
    else:
        seen.failed += 1


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(work(msgspec.json.decode(sys.argv[1], type=Job)))))
