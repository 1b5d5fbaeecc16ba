"""`python -m tests.bench_fleet`, which is `make bench-fleet`: what a fleet costs. Reports, never fails."""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import targets
from tests.bench_fleet import table
from tests.bench_fleet.lag import Lag, lag
from tests.bench_fleet.lanes import NAMES
from tests.bench_fleet.load import Rows, load
from tests.bench_fleet.sizing import Case
from tests.bench_fleet.units import Unit, units
from tests.support.redis_server import PROGRAM

PARTS = ("load", "lag", "units")


def main() -> int:
    """Parse, run, print; 2 when it cannot run here."""
    parser = _parser()
    options = parser.parse_args()
    for given, known in ((options.parts, PARTS), (options.targets, NAMES)):
        if unknown := set(given.split(",")) - set(known):
            parser.error(f"not known: {', '.join(sorted(unknown))}")
    if shutil.which(PROGRAM) is None:
        print(f"{PROGRAM} is needed", file=sys.stderr)
        return 2
    names = [name for name in NAMES if name in options.targets.split(",") or name == "direct"]
    missing = [name for name in names if not targets.installed(name)]
    began, busy = time.monotonic(), os.getloadavg()[0]
    rows, lags, found = asyncio.run(_run(options, [name for name in names if name not in missing]))
    about = {
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(busy, 2),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "memories": options.memories,
    }
    print()
    for what, value, verdict in table.goals(rows, lags):
        print(f"{what:44} {value:>8}  {verdict}")
    print()
    for name in missing:
        print(f"{name}: not installed (make bench-peers)")
    print(f"{', '.join(f'{key} {value}' for key, value in about.items())}; took {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(table.document(rows, lags, found, about), indent=1, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_fleet", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--targets", default=",".join(NAMES), help="of `load`: " + ", ".join(NAMES))
    parser.add_argument("--seconds", type=float, default=1.5, help="of `load`: per measurement (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of `load`: each measures everything once")
    parser.add_argument("--rate", type=float, default=50.0, help="of `lag`: turns a second (default %(default)g)")
    parser.add_argument("--lag-seconds", type=float, default=30.0, help="of `lag`: for so long (default %(default)g)")
    parser.add_argument("--memories", type=int, default=10_000, help="loaded beforehand, of 100 users")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    return parser


async def _run(options: argparse.Namespace, names: Sequence[str]) -> tuple[Rows, list[Lag], list[Unit]]:
    """Each part's table is printed as soon as there is one: a run is long, and may be cut short."""
    parts = options.parts.split(",")
    rows, lags, found = Rows(), list[Lag](), list[Unit]()
    with tempfile.TemporaryDirectory(prefix="mneme-fleet-") as temporary:
        folder = Path(temporary)
        if "load" in parts:
            rows = await load(names, options.seconds, options.rounds, options.memories, folder, _say)
            _show(table.load_text(rows))
        if "lag" in parts:
            lags = await lag(options.rate, options.lag_seconds, options.memories, folder, _say)
            _show(table.lag_text(lags))
        if "units" in parts:
            found = await units(folder, _say)
            _show(table.units_text(found), table.plan_text(found, Case()), str(Case()))
    return rows, lags, found


def _show(*texts: str) -> None:
    _say("")
    for text in texts:
        print(f"\n{text}", flush=True)


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
