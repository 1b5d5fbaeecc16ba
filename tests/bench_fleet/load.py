"""The part `load`: every lane beside the others, as one process and as two. Starts and measures; draws nothing."""

import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench import memories, targets
from tests.bench.measure import Bench
from tests.bench_fleet.costs import Costs, Row
from tests.bench_fleet.lanes import OURS, PEERS, Lane, ours, peers
from tests.bench_fleet.stack import State, pid, state

Rows = dict[tuple[str, int], Row]
"""By the lane's name and its number of processes."""
PROCESSES = (1, 2)


async def load(
    names: Sequence[str],
    seconds: float,
    rounds: int,
    held: int,
    folder: Path,
    say: Callable[[str], None],
    *,
    processes: Sequence[int] = PROCESSES,
) -> Rows:
    """With `held` memories of a hundred users in the store. One process has a core to itself; two share all cores with
    everything else."""
    core, rows = targets.cores(), Rows()
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(state(folder, core.rest))
        if set(names) & {"read", "on"}:
            say(f"loading {held:,} memories …")
            await targets.fill(folder / "fill", held, shared.knobs)
        base = await stack.enter_async_context(targets.worker(core.rest))
        for number in processes:
            own = core.target if number == 1 else None
            async with AsyncExitStack() as running:
                say(f"starting everything as {number} …")
                theirs = peers([n for n in names if n in PEERS], number, base, folder, own)
                lanes = await running.enter_async_context(theirs)
                mine = ours([n for n in names if n in OURS], number, base, shared, own)
                lanes += await running.enter_async_context(mine)
                lanes += [Lane("direct", (base.aim,), (base.pid,))] if number == 1 else []
                costs = await _costs(shared, number, core.rest, seconds, running)
                for turn in range(rounds):
                    random.shuffle(lanes)
                    for lane in lanes:
                        say(f"{number} × {lane.name}, round {turn + 1} of {rounds} …")
                        row = rows.setdefault((lane.name, number), Row())
                        await costs.measure(base.aim, lane, row)
    return {key: rows[key] for key in sorted(rows, key=lambda key: (key[1], _order(key[0])))}


async def _costs(shared: State, writers: int, core: int | None, seconds: float, running: AsyncExitStack) -> Costs:
    knobs = {"upstream": "http://127.0.0.1:9/v1", "keys": f"bench:{memories.TENANT}"}
    writing = await running.enter_async_context(shared.members("writer", writers, core, **knobs))
    beside = {
        "writer": [pid(one) for one in writing],
        "Redis": [await shared.redis_pid()],
        "store": [pid(shared.store)],
    }
    return Costs(Bench(core, seconds, random.randrange(1 << 30)), seconds, beside)


def _order(name: str) -> int:
    return ("direct", *PEERS, *OURS).index(name)
