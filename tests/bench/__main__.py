"""`python -m tests.bench`: what the gateway costs beside others, interleaved in one call. Reports, never asserts."""

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench import table, targets
from tests.bench.measure import Bench, Row, rss_mb
from tests.bench.targets import MEMORY, NAMES, Target


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.8, help="per measurement (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="each round measures everything once, in random order")
    parser.add_argument("--targets", default=",".join(NAMES), help=f"comma-separated, of {','.join(NAMES)}")
    parser.add_argument("--memories", type=int, default=10_000, help="loaded beforehand, over 100 users")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    names = [name for name in NAMES if name in options.targets.split(",") or name == "direct"]
    if unknown := set(options.targets.split(",")) - set(NAMES):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    missing = [name for name in names if not targets.installed(name)]
    began, load = time.monotonic(), os.getloadavg()[0]
    rows = asyncio.run(_bench([n for n in names if n not in missing], options))
    found = {name: table.summary(row) for name, row in rows.items()}
    about = {
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(load, 2),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "memories": options.memories,
    }
    _print(found, about, missing, time.monotonic() - began)
    if options.json:
        options.json.write_text(json.dumps(table.document(found, rows, about), indent=1, ensure_ascii=False))
    return 0


async def _bench(names: Sequence[str], options: argparse.Namespace) -> dict[str, Row]:
    core = targets.cores()
    rows = {name: Row() for name in names}
    with tempfile.TemporaryDirectory(prefix="mneme-bench-") as folder:
        if set(names) & set(MEMORY):
            _say(f"loading {options.memories:,} memories …")
            await targets.fill(Path(folder) / "memory", options.memories)
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(targets.worker(core.rest))
            running = [base]
            for group in targets.groups(names):
                _say(f"starting {' and '.join(group)} …")
                running += await stack.enter_async_context(targets.started(group, base, Path(folder), core.target))
            bench = Bench(core.rest, options.seconds, random.randrange(1 << 30))
            for target in running:
                await bench.warm(target)
            for number in range(options.rounds):
                random.shuffle(running)
                for target in running:
                    _say(f"round {number + 1} of {options.rounds}: {target.name} …")
                    await _measure(bench, base, target, rows[target.name])
            for target in running:
                rows[target.name].rss_mb = rss_mb(target.pid)
    return rows


async def _measure(bench: Bench, base: Target, target: Target, row: Row) -> None:
    if target is not base:
        await bench.latency(base, target, row)
    await bench.requests(target, row)
    await bench.throughput(target, row)
    if target.name not in MEMORY:  # recall costs once per request and nothing per event
        await bench.events(target, row)
        await bench.flood(target, row)


def _print(found: dict[str, table.Summary], about: dict[str, object], missing: Sequence[str], took: float) -> None:
    _say("")
    print(f"\n{table.text(found)}\n")
    for said, value, verdict in table.goals(found):
        print(f"{said:42} {value:>8}  {verdict}")
    print()
    for note in table.notes(found):
        print(note)
    for name in missing:
        print(f"{name}: not installed (make bench-peers)")
    print(f"{', '.join(f'{key} {value}' for key, value in about.items())}; took {took:.0f} s")


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
