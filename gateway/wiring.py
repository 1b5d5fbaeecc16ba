"""The only file that picks adapters. One AsyncExitStack opens them in order and closes them in reverse."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any

from gateway.admit import Keyring, parse_keys
from gateway.errors import DataDirectoryRefused, SettingsRefused
from gateway.memory import embedders, policies
from gateway.memory.curate import Curator
from gateway.memory.embedders import minilm_words
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Source
from gateway.memory.recall import Recaller
from gateway.memory.reflect import Writer
from gateway.memory.retain import Retainer
from gateway.memory.stores import directory
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from gateway.memory.words import Words
from gateway.remember import Rememberer
from gateway.scribe import Scribe
from gateway.seal import Seal, open_secret
from gateway.services import Gate, Services
from gateway.settings import LOCAL_KEY, Settings
from gateway.telemetry import Telemetry
from gateway.turn import Story
from gateway.upstream.aliases import Alias, located, parse_aliases
from gateway.upstream.client import Patience, Upstream
from gateway.upstream.embedded import embedded_reader
from gateway.upstream.errands import Errands
from gateway.upstream.fleet import Fleet
from gateway.upstream.sinks import Sinks
from gateway.upstream.worker import Worker
from gateway.warm import Warmer, blind

log = logging.getLogger(__name__)

# Of the recall deadline, for the vectors of turns that the writer has not got to.
_PENDING_SHARE = 0.4
_HEADER_LIMIT = 64 << 10
# Hands, and places in line: counting heads is quick and wanted at once, warming keeps a worker busy.
_COUNTING, _WARMING = (4, 64), (1, 8)
_AT_LEISURE = 10.0

Task = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Everything that requests use. On the way out the writer finishes what is pending, then the stores close."""
    _check_names(settings)
    aliases = parse_aliases(settings.workers.get_secret_value())
    async with AsyncExitStack() as stack:
        directory.make(settings.data)
        seal = Seal(open_secret(settings.data / "secret"), settings.cache_salt)
        telemetry = Telemetry()
        database = await stack.enter_async_context(
            Database.open(settings.data / "mneme.db", durability=settings.durability)
        )
        journal, sessions = SqliteJournal(database), SqliteSessions(database, trace_limit=settings.trace_limit)
        embedder = await _embedder(settings, stack)
        memories = await stack.enter_async_context(
            EdgeStore.open(
                settings.data / "memories",
                embedder_identity=embedder.identity,
                dimension=embedder.dimension,
                durability=settings.durability,
            )
        )
        words = await _words(settings)
        known: dict[str, Policy] = {name: _named(target).over(words) for name, target in policies.TABLE.items()}
        fleet = await _fleet(settings, aliases, stack)
        counting, warming = Errands(*_COUNTING), Errands(*_WARMING)
        curator = Curator(memories, sessions, journal, embedder, known[settings.policy], time.time)
        writer = Writer(curator, journal, lambda result, n: telemetry.indexed.labels(result).inc(n))
        rememberer = Rememberer(
            Recaller(memories, journal, embedder, _PENDING_SHARE * settings.recall_deadline),
            sessions,
            settings.recall_deadline,
            time.time,
            settings.redact,
        )
        sinks = Sinks(counting)
        warmer = Warmer(
            rememberer,
            Scribe(seal.salt, seal.session, sinks, _AT_LEISURE),
            warming,
            lambda result: telemetry.warmed.labels(result).inc(),
        )
        story = Story(
            rememberer=rememberer,
            scribe=Scribe(seal.salt, seal.session, sinks, settings.recall_deadline),
            retainer=Retainer(journal, settings.redact, settings.retain_deadline),
            telemetry=telemetry,
            policies=known,
            default_policy=settings.policy,
            memory_tokens=settings.memory_tokens,
            clock=time.time,
            nudge=writer.nudge,
            foresee=warmer.foresee if settings.warm else blind,
        )
        keys = settings.keys.get_secret_value()
        beside = (fleet.watch, counting.run, warming.run)
        await stack.enter_async_context(_working(writer, beside, settings.drain_seconds))
        yield Services(
            story=story,
            fleet=fleet,
            keyring=Keyring(parse_keys(keys, LOCAL_KEY)),
            gate=Gate(_HEADER_LIMIT, settings.body_limit, settings.body_timeout, local_only=not keys),
            admin_key=settings.admin_key.get_secret_value(),
            curator=curator,
            memories=memories,
            sessions=sessions,
            journal=journal,
            embedder=embedder,
            policies=known,
            seal=seal,
            telemetry=telemetry,
            pings={
                "upstream": fleet.default.ping,
                **({"workers": fleet.ping} if fleet.workers[1:] else {}),
                "memories": memories.ping,
                "sessions": sessions.ping,
                "journal": journal.ping,
                "embedder": embedder.ping,
            },
            clock=time.time,
        )


@asynccontextmanager
async def _working(writer: Writer, beside: Iterable[Task], drain_seconds: float) -> AsyncIterator[None]:
    """The background tasks, owned here: the writer ends when nothing is pending, or at the drain's limit; what runs
    beside the requests ends at once."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run())
        running = [tasks.create_task(task()) for task in beside]
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised again below, as itself instead of inside a group
            failed = error
        finally:
            for task in running:
                task.cancel()
            writer.stop()
            await asyncio.wait({writing}, timeout=drain_seconds)
            writing.cancel()
    if failed is not None:
        raise failed


async def _embedder(settings: Settings, stack: AsyncExitStack) -> Embedder:
    key = settings.embedder_key.get_secret_value()
    source = Source(settings.data / "models", settings.embedder_url, settings.embedder_model, key)
    embedder: Embedder = await stack.enter_async_context(_named(embedders.TABLE[settings.embedder]).open(source))
    return embedder


async def _words(settings: Settings) -> Words:
    """MiniLM's table, whichever embedder there is; without the weights words are told apart by their letters only."""
    try:
        return await minilm_words.words(settings.data / "models")
    except DataDirectoryRefused as missing:
        if settings.embedder == "minilm":
            raise
        log.warning("recall goes without word vectors: %s", missing.message)
        return Words.none()


async def _fleet(settings: Settings, aliases: Mapping[str, Alias], stack: AsyncExitStack) -> Fleet:
    """The default worker, and one for every other URL that an alias names."""
    default = settings.upstream or await stack.enter_async_context(embedded_reader())
    keys = {located(alias.url): alias.key for alias in aliases.values() if alias.url}
    keys[located(default)] = settings.upstream_key.get_secret_value()
    patience = Patience(settings.connect_timeout, settings.first_byte_timeout, settings.idle_timeout)
    workers: dict[str, Worker] = {}
    for url in dict.fromkeys((located(default), *keys)):
        upstream = await stack.enter_async_context(Upstream(url, keys[url], patience))
        workers[url] = Worker(upstream, url, settings.context_tokens)
    homes = {name: workers[located(alias.url)] for name, alias in aliases.items() if alias.url}
    return Fleet(tuple(workers.values()), aliases, homes)


def _named(target: str) -> Any:
    """What a line of a table names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _check_names(settings: Settings) -> None:
    for knob, name, table in (
        ("MNEME_POLICY", settings.policy, policies.TABLE),
        ("MNEME_EMBEDDER", settings.embedder, embedders.TABLE),
    ):
        if name not in table:
            raise SettingsRefused(f"{knob}={name} is not known: choose one of {', '.join(table)}.")
