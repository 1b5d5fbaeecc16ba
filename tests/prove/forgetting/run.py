"""Users live, some of them are forgotten while they are being answered, and then everything that runs is searched for
them. One process over its own files, or a fleet over Redis and the stand-in for Qdrant."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.worker import Worker
from tests.prove.forgetting.life import HELD, KEY, TENANT, TOUGH, Life, word
from tests.prove.forgetting.search import found_in, in_files, in_qdrant, in_redis
from tests.support.embeddings import answer as embedded
from tests.support.embeddings import embedding_server, told
from tests.support.fleet import running_fleet
from tests.support.gateway import spawned_gateway
from tests.support.upstream import Received, Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

Say = Callable[[str], None]
_DEAD = 120.0
_COLLECTION = "mneme"
_NOT_THEIRS = ("models",)  # the embedder's files, the same for all


@dataclass
class Forgot:
    """`users` were forgotten; `begun` of their turns were under way then. `learned` says what is held of them all the
    same, `left` where a word of theirs was found afterwards, and `seen` in how many places one was before that:
    nowhere would mean that nothing was searched. `lost` are others of whom something went. `forged` certificates out
    of `altered` ones were taken for genuine, and `doubted` genuine ones for forged."""

    users: int = 0
    begun: int = 0
    seen: int = 0
    altered: int = 0
    learned: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    forged: list[str] = field(default_factory=list)
    doubted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stage:
    """What runs. `held` finds words in all that it keeps: word → the places."""

    clients: tuple[httpx.AsyncClient, ...]
    held: Callable[[Collection[str]], Any]


async def forgetting(users: int, fleet: bool, say: Say) -> Forgot:
    """As many users stay as are forgotten."""
    forgot = Forgot(users)
    with tempfile.TemporaryDirectory(prefix="mneme-prove-") as folder:
        async with scripted_upstream() as upstream, embedding_server(_picky) as embeddings:
            release, prompts = _listening(upstream)
            knobs = {
                "keys": f"{KEY}:{TENANT}",
                "upstream": upstream.url,
                "embedder": "http",
                "embedder_url": embeddings,
                "embedder_model": "hashed words",
                "affinity_header": "x-conversation",
                "recall_deadline": "2",
                "access_log": "true",
            }
            say("starting the processes …")
            async with _running(fleet, Path(folder), knobs) as stage:
                leavers, stayers = ([Life(word(2 * n + k), stage.clients) for n in range(users)] for k in (0, 1))
                await _lived([*leavers, *stayers], stage, say)
                forgot.seen = sum(map(len, (await stage.held([life.word for life in leavers])).values()))
                for number, life in enumerate(leavers):
                    say(f"forgetting {number + 1} of {users} …")
                    await _leave(life, release, forgot)
                await _indexed(stage.clients[0])
                await _searched(stage, leavers, stayers, forgot)
                await _spoken(leavers[: users // 2 + 1], prompts, forgot)
            await _afterwards(Path(folder), leavers[users // 2 + 1 :], forgot)
    return forgot


@asynccontextmanager
async def _running(fleet: bool, folder: Path, knobs: dict[str, str]) -> AsyncIterator[Stage]:
    if not fleet:
        with (folder / "log").open("wb") as log:
            async with spawned_gateway(folder / "data", stderr=log, **knobs) as gateway, _client(gateway.url) as client:

                async def held(words: Collection[str]) -> dict[str, set[str]]:
                    return await asyncio.to_thread(in_files, folder, words, _NOT_THEIRS)

                yield Stage((client,), held)
        return
    upstream = knobs.pop("upstream")
    async with running_fleet(folder, upstream, **knobs) as running:
        # What lies compressed cannot be searched.
        for name in ("rdbcompression", "aof-use-rdb-preamble"):
            await running.redis.command("CONFIG", "SET", name, "no")
        first, second = (gateway.url for gateway in running.gateways)
        async with _client(first) as one, _client(second) as other:

            async def held_by_all(words: Collection[str]) -> dict[str, set[str]]:
                # Qdrant's files keep what was deleted until its optimizer comes, so it is asked: see docs/prove.md.
                points = await in_qdrant(f"127.0.0.1:{running.qdrant.port}", _COLLECTION, words)
                files = await asyncio.to_thread(in_files, folder, words, (*_NOT_THEIRS, "qdrant"))
                redis = await asyncio.to_thread(in_files, running.redis.folder, words, ("redis.sock",))
                keys = await in_redis(running.redis.url, words)
                found = (files, redis, keys, points)
                return {each: {*chain.from_iterable(part.get(each, ()) for part in found)} for each in words}

            yield Stage((one, other), held_by_all)


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=60)


def _picky(asked: dict[str, Any]) -> Reply:
    """An embedder that refuses some texts."""
    if any(TOUGH in text for text in asked["input"]):
        return told({"error": {"message": "not this"}}, 400)
    return embedded(asked)


def _listening(upstream: Upstream) -> tuple[asyncio.Event, list[bytes]]:
    """A worker that keeps sessions, quotes what it was asked, and holds some answers until the event; its prompts."""
    worker, release = Worker(upstream), asyncio.Event()
    worker.says = lambda body: f"I see. You said: {body['messages'][-1]['content']}"
    kept = {**REPORT, "policy": "full", "knobs": {}, "per_request": [], "sessions": True}
    upstream.kv = told(kept)
    prompts: list[bytes] = []

    def answer(received: Received) -> Reply:
        if received.target == b"/kv/forget":
            return told({"object": "kv.forgotten", "files": 0})
        prompts.append(received.body)
        reply = worker.answer(received)
        return replace(reply, held=release) if HELD in json.loads(received.body)["messages"][-1]["content"] else reply

    upstream.answering = answer
    return release, prompts


async def _lived(everybody: list[Life], stage: Stage, say: Say) -> None:
    say("living …")
    await asyncio.gather(*(life.told() for life in everybody))
    await _indexed(stage.clients[0])
    for life in everybody:
        await life.noted()
    await asyncio.gather(*(life.asked() for life in everybody))
    await _indexed(stage.clients[0])
    await asyncio.gather(*(life.failed() for life in everybody))
    say("waiting until what cannot be indexed is dead …")
    await _indexed(stage.clients[0])


async def _indexed(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(_DEAD):
        while (await client.get("/admin/journal")).json()["pending"]:
            await asyncio.sleep(0.1)


async def _leave(life: Life, release: asyncio.Event, forgot: Forgot) -> None:
    """Forgotten while three of their turns are answered and one waits to be tried again."""
    release.clear()
    async with life.under_way(release):
        await life.failed()
        certificate = await life.forgotten()
    forgot.begun += 3
    await asyncio.sleep(0.3)  # for the gateway to notice that one has left
    verdict = await life.verdict(certificate)
    if not verdict["genuine"]:
        forgot.doubted.append(life.word)
    if not verdict["forgotten"]:
        forgot.learned.append(f"{life.word}: {verdict['held']}")
    if forgot.begun == 3:  # one is as good as the other
        await _altered(life, certificate, forgot)


async def _altered(life: Life, certificate: dict[str, Any], forgot: Forgot) -> None:
    """Every byte of the certificate is another one, each time."""
    raw = json.dumps(certificate, separators=(",", ":")).encode()
    for at in range(len(raw)):
        other = raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
        if _same(other, certificate):
            continue
        forgot.altered += 1
        headers = {"content-type": "application/json"}
        told = await life.clients[0].post("/admin/forget/verify", content=other, headers=headers)
        if told.status_code == 200 and told.json()["genuine"]:
            forgot.forged.append(f"byte {at}: {other.decode(errors='replace')}")


def _same(raw: bytes, certificate: dict[str, Any]) -> bool:
    """Whether it says the same in other digits."""
    try:
        return bool(json.loads(raw) == certificate)
    except ValueError:
        return False


async def _searched(stage: Stage, leavers: list[Life], stayers: list[Life], forgot: Forgot) -> None:
    held = await stage.held([life.word for life in (*leavers, *stayers)])
    forgot.left += [f"{life.word}: {', '.join(sorted(held[life.word]))}" for life in leavers if held.get(life.word)]
    for life in stayers:
        page = (await life.clients[0].get("/admin/memories", params=life.whose)).json()["items"]
        if not held.get(life.word) or len(page) < 3:
            forgot.lost.append(life.word)


async def _spoken(leavers: list[Life], prompts: list[bytes], forgot: Forgot) -> None:
    """Who comes back is told nothing of what was."""
    for life in leavers:
        prompts.clear()
        await life.again()
        forgot.left += [f"{each}: a prompt" for each in found_in(b"".join(prompts), [life.word])]


async def _afterwards(folder: Path, leavers: list[Life], forgot: Forgot) -> None:
    """Nor is anything in a file when all processes have ended."""
    held = await asyncio.to_thread(in_files, folder, [life.word for life in leavers], (*_NOT_THEIRS, "qdrant"))
    forgot.left += [f"{each}: {', '.join(sorted(places))}, after the end" for each, places in held.items()]
