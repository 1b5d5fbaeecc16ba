"""The only file that picks adapters. One AsyncExitStack opens them in order and closes them in reverse."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
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
from gateway.seal import Seal, open_secret
from gateway.services import Gate, Services
from gateway.settings import LOCAL_KEY, Settings
from gateway.telemetry import Telemetry
from gateway.turn import Story
from gateway.upstream.client import Patience, Upstream
from gateway.upstream.embedded import embedded_reader
from gateway.upstream.windows import Windows

log = logging.getLogger(__name__)

# Of the recall deadline, for the vectors of turns that the writer has not got to.
_PENDING_SHARE = 0.4
_HEADER_LIMIT = 64 << 10


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Everything that requests use. On the way out the writer finishes what is pending, then the stores close."""
    _check_names(settings)
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
        upstream = await _upstream(settings, stack)
        windows = Windows(upstream, settings.context_tokens)
        curator = Curator(memories, sessions, journal, embedder, known[settings.policy], time.time)
        writer = Writer(curator, journal, lambda result, n: telemetry.indexed.labels(result).inc(n))
        story = Story(
            rememberer=Rememberer(
                Recaller(memories, journal, embedder, _PENDING_SHARE * settings.recall_deadline),
                sessions,
                windows.of,
                settings.recall_deadline,
                time.time,
                settings.redact,
            ),
            retainer=Retainer(journal, settings.redact, settings.retain_deadline),
            upstream=upstream,
            telemetry=telemetry,
            policies=known,
            default_policy=settings.policy,
            memory_tokens=settings.memory_tokens,
            salt=lambda scope, model: seal.salt(scope) if windows.salted(model) else "",
            clock=time.time,
            nudge=writer.nudge,
        )
        keys = settings.keys.get_secret_value()
        await stack.enter_async_context(_working(writer, windows, settings.drain_seconds))
        yield Services(
            story=story,
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
                "upstream": windows.ping,
                "memories": memories.ping,
                "sessions": sessions.ping,
                "journal": journal.ping,
                "embedder": embedder.ping,
            },
            clock=time.time,
        )


@asynccontextmanager
async def _working(writer: Writer, windows: Windows, drain_seconds: float) -> AsyncIterator[None]:
    """The background tasks, owned here: the writer ends when nothing is pending, or at the drain's limit."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run())
        watching = tasks.create_task(windows.watch())
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised again below, as itself instead of inside a group
            failed = error
        finally:
            watching.cancel()
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


async def _upstream(settings: Settings, stack: AsyncExitStack) -> Upstream:
    base_url = settings.upstream or await stack.enter_async_context(embedded_reader())
    patience = Patience(settings.connect_timeout, settings.first_byte_timeout, settings.idle_timeout)
    upstream = Upstream(base_url, settings.upstream_key.get_secret_value(), patience)
    return await stack.enter_async_context(upstream)


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
