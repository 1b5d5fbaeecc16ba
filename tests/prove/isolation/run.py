"""Has tenants and users do everything at once against real processes, by a seeded generator. Knows no operation's
business."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.worker import Worker
from tests.prove.isolation import desk
from tests.prove.isolation.caller import ADMIN_KEY, Caller
from tests.prove.isolation.hearer import AFFINITY, Hearer, Says, quoted
from tests.prove.isolation.people import Person, keys, people
from tests.prove.isolation.speech import Speech
from tests.prove.isolation.witness import Witness
from tests.support.embeddings import embedding_server
from tests.support.fleet import running_fleet
from tests.support.gateway import spawned_gateway
from tests.support.upstream import scripted_upstream

Deed = Callable[[Caller, random.Random, Person, Person], Awaitable[None]]
Say = Callable[[str], None]
_AT_ONCE = 16
_INDEXED = 300.0
_SAID_EVERY = 500


@dataclass(frozen=True)
class Plan:
    """So many operations of so many users in each of so many tenants; `fleet`: two gateways and two writers over Redis
    and the stand-in for Qdrant, else one process over its own files. The seed draws who does what to whom."""

    operations: int
    tenants: int = 50
    users: int = 20
    fleet: bool = False
    seed: int = 5
    says: Says = quoted

    @property
    def share(self) -> str:
        """MNEME_CACHE_SALT: one of each."""
        return "user" if self.fleet else "tenant"


@dataclass(frozen=True)
class Stage:
    """What runs: the gateways' ports, and the files that all processes write their log to."""

    ports: tuple[int, ...]
    logs: tuple[Path, ...]


def deeds(speech: Speech) -> dict[Deed, float]:
    """What may happen, and how often."""
    return {
        speech.tell: 12,
        speech.ask: 10,
        speech.go_on: 8,
        speech.in_session: 6,
        speech.in_their_session: 5,
        speech.their_history: 5,
        speech.about_theirs: 4,
        speech.thoughtfully: 6,
        speech.watch: 2,
        speech.feedback: 3,
        speech.their_feedback: 3,
        speech.as_nobody: 1,
        speech.with_no_key: 2,
        desk.memories: 8,
        desk.derived: 4,
        desk.watches: 3,
        desk.sessions: 4,
        desk.search: 3,
        desk.export: 2,
        desk.traces: 4,
        desk.dry_run: 4,
        desk.one_of_their_own: 5,
        desk.their_memory: 10,
        desk.their_trace: 5,
        desk.their_watch: 3,
        desk.their_reflection: 3,
        desk.their_session: 3,
        desk.their_cursor: 5,
        desk.their_id: 0.5,
        desk.note: 1,
        desk.around: 2,
        desk.forget: 0.2,
    }


async def isolated(plan: Plan, say: Say) -> Witness:
    """What was seen by the time that everybody had done their part and everything was read once more."""
    witness, crowd = Witness(), people(plan.tenants, plan.users)
    with tempfile.TemporaryDirectory(prefix="mneme-prove-") as folder:
        async with scripted_upstream() as upstream, embedding_server() as embeddings:
            hearer = Hearer(Worker(upstream), witness, plan.share, plan.says)
            knobs = {
                "keys": keys(crowd),
                "admin_key": ADMIN_KEY,
                "embedder": "http",
                "embedder_url": embeddings,
                "embedder_model": "hashed words",
                "cache_salt": plan.share,
                "affinity_header": AFFINITY.decode(),
                "recall_deadline": "2",
                "reflect_idle": "1",
                "connect_timeout": "60",  # the worker runs here, beside everybody who asks
                "access_log": "true",
                "log": "json",
            }
            say("starting the processes …")
            async with _running(plan.fleet, Path(folder), upstream.url, knobs) as stage:
                await _crowded(plan, stage, hearer, crowd, say)
                await _settled(stage.ports[0], witness)
                await _swept(stage, witness, crowd, say)
            for log in stage.logs:  # to the last line of every process
                for line in log.read_bytes().splitlines():
                    witness.look_blindly("log lines", line)
    return witness


@asynccontextmanager
async def _running(fleet: bool, folder: Path, upstream: str, knobs: dict[str, str]) -> AsyncIterator[Stage]:
    if fleet:
        async with running_fleet(folder, upstream, **knobs) as running:
            members = (*running.gateways, *running.writers)
            yield Stage(tuple(each.port for each in running.gateways), tuple(each.log for each in members))
        return
    log = folder / "log"
    with log.open("wb") as errors:
        async with spawned_gateway(folder / "data", stderr=errors, upstream=upstream, **knobs) as gateway:
            yield Stage((urlsplit(gateway.url).port or 0,), (log,))


async def _crowded(plan: Plan, stage: Stage, hearer: Hearer, crowd: Sequence[Sequence[Person]], say: Say) -> None:
    dice, numbers, done = random.Random(plan.seed), count(1), count()
    everybody = [person for users in crowd for person in users]
    table = deeds(Speech(hearer, numbers))
    began = time.monotonic()

    async def act(call: Caller) -> None:
        while (number := next(done)) < plan.operations:
            (deed,) = dice.choices([*table], [*table.values()])
            person, own = dice.choice(everybody), random.Random(dice.getrandbits(64))
            other = _other(dice, crowd, person)
            if number % _SAID_EVERY == 0:
                say(f"{number} operations, {sum(hearer.witness.reads.values())} reads, {hearer.witness.leaks} found …")
            async with person.lock:
                await deed(call, own, person, other)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(_with_caller(hearer.witness, stage.ports, act))
    say(f"{plan.operations} operations in {time.monotonic() - began:.0f} s")


async def _with_caller(witness: Witness, ports: tuple[int, ...], act: Callable[[Caller], Awaitable[None]]) -> None:
    async with Caller(witness, ports) as call:
        await act(call)


def _other(dice: random.Random, crowd: Sequence[Sequence[Person]], person: Person) -> Person:
    """Somebody else: of the same tenant, of the same name, or anybody."""
    tenant, user = person.place
    while True:
        kind = dice.randrange(3)
        row = tenant if kind == 0 else dice.randrange(len(crowd))
        other = crowd[row][user if kind == 1 else dice.randrange(len(crowd[row]))]
        if other is not person:
            return other


async def _settled(port: int, witness: Witness) -> None:
    async with Caller(witness, (port,)) as call, asyncio.timeout(_INDEXED):
        while (await call.admin("journal", "GET", "/journal", None)).json()["pending"]:
            await asyncio.sleep(0.2)


async def _swept(stage: Stage, witness: Witness, crowd: Sequence[Sequence[Person]], say: Say) -> None:
    say("reading everything once more …")
    async with asyncio.TaskGroup() as tasks:
        for users in crowd:
            tasks.create_task(_with_caller(witness, stage.ports, lambda call, users=users: _all_of(call, users)))  # type: ignore[misc]


async def _all_of(call: Caller, users: Sequence[Person]) -> None:
    for person in users:
        await desk.everything(call, person)
