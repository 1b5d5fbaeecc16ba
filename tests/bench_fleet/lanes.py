"""What is compared, each as one or several processes behind the same load. Knows no number that is measured."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import memories, targets
from tests.bench.load import Aim
from tests.bench.targets import Target
from tests.bench_fleet.stack import State, pid
from tests.support.fleet import Process

PEERS = ("vllm-router", "litellm")
OURS = ("off", "read", "on")
NAMES = ("direct", *PEERS, *OURS)


@dataclass(frozen=True)
class Lane:
    """One row: a door per process, and all the processes whose CPU is the row's own."""

    name: str
    aims: tuple[Aim, ...]
    pids: tuple[int, ...]

    @property
    def processes(self) -> int:
        """How many share the load."""
        return len(self.aims)

    @property
    def remembers(self) -> bool:
        """Whether memory does anything here."""
        return self.name in ("read", "on")


@asynccontextmanager
async def peers(
    names: Sequence[str], processes: int, base: Target, folder: Path, core: int | None
) -> AsyncIterator[list[Lane]]:
    """Each of those that are not ours, as so many processes of its own."""
    async with AsyncExitStack() as stack:
        found = []
        for name in names:
            alike = [
                (await stack.enter_async_context(targets.started([name], base, folder, core)))[0]
                for _ in range(processes)
            ]
            found.append(Lane(name, tuple(one.aim for one in alike), tuple(one.pid for one in alike)))
        yield found


@asynccontextmanager
async def ours(
    names: Sequence[str], processes: int, base: Target, state: State, core: int | None
) -> AsyncIterator[list[Lane]]:
    """The rows of one set of gateways, which are asked differently."""
    upstream = f"http://127.0.0.1:{base.aim.port}/v1"
    async with gateways(state, processes, upstream, core) as running:
        yield [lane(name, running) for name in names]


@asynccontextmanager
async def gateways(
    state: State, count: int, upstream: str, core: int | None, **knobs: str
) -> AsyncIterator[list[Process]]:
    """So many, which take the bench's key."""
    chosen = {"upstream": upstream, "keys": f"bench:{memories.TENANT}", **knobs}
    async with state.members("gateway", count, core, **chosen) as running:
        yield running


def lane(name: str, running: Sequence[Process]) -> Lane:
    """These gateways, asked so."""
    aims = tuple(Aim(name, one.port, user=name != "off", memory=name) for one in running)
    return Lane(name, aims, tuple(pid(one) for one in running))
