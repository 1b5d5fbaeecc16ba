"""`mneme doctor`: which checks there are to make, by the settings. Opens no store, and changes nothing.

Its parts that need a server's client are imported only where they are asked for: those take a second to load.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway.admit import parse_keys
from gateway.doctor import database, embedder, folder, indexes, machine, running, workers
from gateway.doctor.embedder import Look
from gateway.doctor.finding import Check, Finding, examined
from gateway.errors import SettingsRefused
from gateway.memory import embedders
from gateway.memory.ports import Embedder, Source
from gateway.settings import Settings, read_settings
from gateway.upstream.aliases import Alias, located, parse_aliases
from gateway.upstream.client import Patience
from gateway.upstream.muster import open_fleet
from gateway.wiring.tier import check_names

_PAGES_SECONDS = 5.0
_EMBEDDER_SECONDS = 60.0  # where its graph must be built first, on a machine with other things to do
_PATIENCE = Patience(3.0, 3.0, 3.0)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # listened on, and so not asked


async def examine(url: str) -> list[Finding]:
    """All that can be found, by MNEME_* as they stand. `url` is of a gateway that runs; "" is where they have it
    listen, if it does."""
    try:
        settings = read_settings()
        check_names(settings)
        aliases = parse_aliases(settings.workers.get_secret_value())
        parse_keys(settings.keys.get_secret_value(), "")
    except SettingsRefused as refused:
        lost = Finding("all else", "skipped", "while settings are refused it is not known where to look")
        return [Finding("settings", "fail", refused.message), *machine.look(local=True, embeds=False), lost]
    checks = [*_stores(settings), *_index(settings), *_around(settings, aliases, url)]
    return [*_settings(settings), *await examined(checks)]


def _settings(settings: Settings) -> Sequence[Finding]:
    redis, qdrant = settings.redis_url.get_secret_value(), settings.qdrant_url
    journal = "journal and sessions in Redis" if redis else f"journal and sessions in {settings.data}"
    memories = "memories in Qdrant" if qdrant else f"memories in {settings.data}"
    roles = "any number of gateways and writers" if settings.shared else "one process, mneme serve"
    who = "one local user, with the key that everybody knows" if settings.local_only else "whoever has a key"
    admin = "its key, or an issued one" if settings.admin_key.get_secret_value() else "this machine, or an issued key"
    open_ = not settings.on_loopback and not settings.redact
    return [
        Finding("settings", "ok", "none contradicts another"),
        Finding("mode", "ok", f"{roles}: {journal}, {memories}"),
        Finding("address", "ok", f"{settings.host}:{settings.port} for {who}; /admin for {admin}"),
        *([Finding("redaction", "warn", "off: secrets are stored", "Set MNEME_REDACT=true.")] if open_ else []),
    ]


def _stores(settings: Settings) -> Iterator[Check]:
    redis = settings.redis_url.get_secret_value()
    seek = partial(
        folder.look,
        settings.data,
        remembers=not settings.qdrant_url,
        own_secret=not settings.secret.get_secret_value(),
    )
    yield Check("data directory", lambda: asyncio.to_thread(seek))
    if redis:
        look = import_module("gateway.doctor.redis").look
        yield Check("redis", lambda: look(redis, settings.durability))
    else:
        file = settings.data / "mneme.db"
        yield Check("database", lambda: asyncio.to_thread(database.look, file, _PAGES_SECONDS), 2 * _PAGES_SECONDS)


def _index(settings: Settings) -> Iterator[Check]:
    look: Look = partial(indexes.look, settings.data)
    if settings.qdrant_url:
        qdrant, server, layout = _qdrant(settings)
        look = partial(qdrant.look_at_index, server, layout)
        yield Check("qdrant", lambda: qdrant.look(server))
    yield Check(
        "embedder",
        lambda: embedder.look(lambda: _embedder(settings), look, settings.recall_deadline),
        _EMBEDDER_SECONDS,
    )


def _qdrant(settings: Settings) -> tuple[Any, Any, Any]:
    stores = import_module("gateway.memory.stores.qdrant")
    server = stores.Server(
        settings.qdrant_url,
        settings.qdrant_key.get_secret_value(),
        settings.qdrant_grpc,
        settings.qdrant_grpc_port,
        settings.qdrant_timeout,
    )
    layout = stores.Layout(
        settings.qdrant_collection,
        replication_factor=settings.qdrant_replicas,
        write_consistency_factor=settings.qdrant_written,
    )
    return import_module("gateway.doctor.qdrant"), server, layout


def _around(settings: Settings, aliases: dict[str, Alias], url: str) -> Iterator[Check]:
    yield Check("worker", lambda: _workers(settings, aliases))
    yield Check("gateway", lambda: _gateway(settings, url))
    seek = partial(machine.look, local=settings.local_only, embeds=settings.embedder == "minilm")
    yield Check("machine", lambda: asyncio.to_thread(seek))


async def _workers(settings: Settings, aliases: dict[str, Alias]) -> list[Finding]:
    urls, key = located(settings.upstream), settings.upstream_key.get_secret_value()
    async with open_fleet(urls, key, aliases, _PATIENCE, window=settings.context_tokens) as fleet:
        return await workers.look(fleet, embedded=not urls)


async def _gateway(settings: Settings, url: str) -> list[Finding]:
    if not url and not settings.port:
        return [Finding("gateway", "skipped", "MNEME_PORT=0: the system chose its port; name it by --url")]
    host = _EVERYWHERE.get(settings.host, settings.host)
    own = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    return await running.look(url or own, expected=bool(url))


@asynccontextmanager
async def _embedder(settings: Settings) -> AsyncIterator[Embedder]:
    key = settings.embedder_key.get_secret_value()
    module, _, attribute = embedders.TABLE[settings.embedder].partition(":")
    with _borrowed(settings.data / "models") as cache:
        source = Source(cache, settings.embedder_url, settings.embedder_model, key)
        async with getattr(import_module(module), attribute).open(source) as opened:
            yield opened


@contextmanager
def _borrowed(models: Path) -> Iterator[Path]:
    """What was built there can be used; what is built now leaves no trace."""
    with TemporaryDirectory(prefix="mneme-doctor-") as folder:
        for file in models.glob("*"):
            (Path(folder) / file.name).symlink_to(file.resolve())
        yield Path(folder)
