"""What Redis holds of a turn before and after it is indexed, of a conversation, of a trace, of a user: turns through a
real gateway into a real redis-server, and MEMORY USAGE of every key.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from redis.asyncio import Redis

from tests.bench import words
from tests.bench.load import Aim, Line
from tests.bench.measure import drained
from tests.bench_fleet.lanes import gateways
from tests.bench_fleet.stack import State, state

TURNS, FEW, MANY = 2000, 100, 2000
"""So many turns, of so few users, and again of so many."""
_SENTENCES, _CLIENTS = 3, 8
_HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    "authorization: Bearer bench\r\nx-mneme-user: user-{user}\r\nx-mneme-session: session-{session}\r\n"
    "content-length: {length}\r\n\r\n{body}"
)
_SESSION = 10
_KINDS = ("rows", "bodies", "wait", "dead", "placed", "line", "sessions", "traces", "trace", "kept", "since")
_JOURNAL, _SESSIONS, _TRACES = (
    ("rows", "bodies", "wait", "since"),
    ("placed", "line", "sessions"),
    ("trace", "traces", "kept"),
)

# Keys of which each user has their own, but for what holds recalled text: who has said little recalls little.
_BY_USER = ("rows", "bodies", "line", "sessions", "traces")

Kinds = Counter[str]
"""Bytes by kind of key; "all" is what Redis says that it uses."""


async def kept(folder: Path, upstream: str, say: Callable[[str], None]) -> list[tuple[str, str, float]]:
    """Keys, names and bytes. Turns of 200 characters said and 80 answered, ten to a session."""
    say(f"{TURNS} turns of {FEW} users into Redis …")
    async with _told(folder / "few", upstream, FEW) as (shared, empty):
        waiting = await _sizes(shared)
        async with shared.members("writer", 1, None, upstream=upstream) as writing:
            await drained(writing[0].port)
            few = await _sizes(shared)
    say(f"{TURNS} turns of {MANY} users into Redis …")
    async with (
        _told(folder / "many", upstream, MANY) as (shared, _),
        shared.members("writer", 1, None, upstream=upstream) as writing,
    ):
        await drained(writing[0].port)
        many = await _sizes(shared)
    journal, sessions, traces = (sum(few[kind] for kind in kinds) / TURNS for kinds in (_JOURNAL, _SESSIONS, _TRACES))
    of_users = sum(many[kind] - few[kind] for kind in _BY_USER)
    return [
        ("", "Redis: a turn that waits, in the journal", sum(waiting[kind] for kind in _JOURNAL) / TURNS),
        ("journalled", "Redis: a turn that is indexed, in the journal", journal),
        ("placed", "Redis: a turn in its conversation", sessions),
        ("trace", "Redis: a trace", traces),
        ("", "Redis: a turn in all, indexed, trace included, by used_memory", (few["all"] - empty) / TURNS),
        ("user", "Redis: a user besides, in journal and conversations", of_users / (MANY - FEW)),
    ]


@asynccontextmanager
async def _told(folder: Path, upstream: str, users: int) -> AsyncIterator[tuple[State, int]]:
    """The state after so many turns, none of them indexed, and what Redis used before them."""
    async with state(folder) as shared, gateways(shared, 1, upstream, None, recall_deadline="5") as running:
        empty = await shared.redis_number("used_memory")
        await _speak(Aim("on", running[0].port), _requests(users))
        yield shared, empty


def _requests(users: int) -> Iterator[bytes]:
    """Turn after turn, dealt out to all users alike."""
    dice = random.Random(users)
    for number in range(TURNS):
        said = " ".join(words.fact(dice) for _ in range(_SENTENCES))
        body = f'{{"model":"bench","messages":[{{"role":"user","content":"{said}"}}]}}'
        turn, user = divmod(number, users)
        filled = _HEAD.format(user=user, session=turn // _SESSION, length=len(body.encode()), body=body)
        yield filled.encode()


async def _speak(aim: Aim, requests: Iterator[bytes]) -> None:
    """All of them, a few at a time. RuntimeError when one is not answered well."""
    over, failed, open_lines = asyncio.Event(), count(), set[Line]()
    left = _CLIENTS

    def done(line: Line) -> None:
        nonlocal left
        if not line.ok:
            next(failed)
        asked = next(requests, None)
        if asked is None or line.closed:
            left -= 1
            if not left:
                over.set()
        else:
            line.send(asked)

    loop = asyncio.get_running_loop()
    for _ in range(_CLIENTS):
        _, line = await loop.create_connection(lambda: Line(done), "127.0.0.1", aim.port)
        open_lines.add(line)
        line.send(next(requests))
    await over.wait()
    for line in open_lines:
        line.transport.abort()
    if next(failed):
        raise RuntimeError("not every turn was answered")


async def _sizes(shared: State) -> Kinds:
    sizes: Kinds = Counter()
    sizes["all"] = await shared.redis_number("used_memory")
    async with Redis(unix_socket_path=str(shared.redis.socket)) as client:
        async for key in client.scan_iter(count=1000):
            sizes[_kind(key.decode(errors="replace"))] += int(await client.memory_usage(key, samples=0) or 0)
    return sizes


def _kind(key: str) -> str:
    """By what stands behind the base of the journal or the tenant: mneme:{…}:kind or mneme:{…}:kind:whose."""
    name = key.partition("}:")[2].partition(":")[0]
    return name if name in _KINDS else "other"
