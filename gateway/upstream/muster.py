"""The fleet as the settings name it: a pool for every list of base URLs, a worker for every URL, opened and closed
together. Knows no request.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.upstream.aliases import Alias
from gateway.upstream.client import Patience, Upstream
from gateway.upstream.fleet import Fleet
from gateway.upstream.named import SCHEME, Named, Resolve, resolved
from gateway.upstream.origin import Origin
from gateway.upstream.pool import Pool
from gateway.upstream.worker import Worker


@dataclass(frozen=True, slots=True)
class _Opening:
    """What the replicas behind one base URL have in common."""

    url: str
    key: str
    patience: Patience
    window: int
    group: str

    def at(self, url: str, address: str) -> Worker:
        """The one at an address, by which `url` tells it from its fellows."""
        return Worker(Upstream(self.url, self.key, self.patience, address), url, self.window, self.group)


@asynccontextmanager
async def open_fleet(
    default: Sequence[str],
    key: str,
    aliases: Mapping[str, Alias],
    patience: Patience,
    *,
    window: int = 0,
    header: str = "",
    resolve: Resolve = resolved,
) -> AsyncIterator[Fleet]:
    """`default` are the base URLs of the default worker's replicas, `key` the bearer key that they want; `window` as a
    Worker has it, `header` as a Fleet has it. SettingsRefused when a URL or a key cannot be used."""
    keys = {url: alias.key for alias in aliases.values() for url in alias.urls} | dict.fromkeys(default, key)
    groups = dict.fromkeys((tuple(default), *(alias.urls for alias in aliases.values() if alias.urls)))
    async with AsyncExitStack() as stack:
        workers: dict[str, Worker] = {}
        names: dict[str, Named] = {}
        for url in dict.fromkeys(url for group in groups for url in group):
            mates = ",".join(next(group for group in groups if url in group))
            opening = _Opening(url.removeprefix(SCHEME), keys[url], patience, window, mates)
            if url.startswith(SCHEME):
                Origin.read(opening.url, opening.key)  # refused now, not when the name has its first address
                names[url] = await stack.enter_async_context(Named(opening.url, opening.at, resolve))
            else:
                workers[url] = opening.at(url, "")
                await stack.enter_async_context(workers[url].upstream)
        pools = {
            group: Pool([workers[u] for u in group if u in workers], [names[u] for u in group if u in names])
            for group in groups
        }
        homes = {name: pools[alias.urls] for name, alias in aliases.items() if alias.urls}
        yield Fleet(tuple(pools.values()), aliases, homes, header.lower().encode(), patience.connect)
