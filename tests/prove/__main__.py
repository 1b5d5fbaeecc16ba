"""`python -m tests.prove`, which is `make prove`: parses, runs, prints one table; the exit status says whether all
of it is as it must be."""

import argparse
import asyncio
import os
import platform
import shutil
import sys
import time

from tests.prove import table
from tests.prove.run import prove
from tests.prove.scenarios import QUICK, SCENARIOS
from tests.support.redis_server import PROGRAM


def main() -> int:
    """0 when nothing was lost, told twice, failed by memory or leaked; else 1; 2 when it cannot run here."""
    options = _parser().parse_args()
    if shutil.which(PROGRAM) is None:
        print(f"{PROGRAM} is needed", file=sys.stderr)
        return 2
    names = [*QUICK] if options.quick else options.scenarios.split(",")
    users, seconds = (20, 6.0) if options.quick else (options.users, options.seconds)
    began, load = time.monotonic(), os.getloadavg()[0]
    rows = asyncio.run(prove(names, users, seconds, options.rate, _say))
    _say("")
    print(f"\n{table.text(rows)}\n")
    print(
        f"{users} users, {options.rate:g} turns a second, {seconds:g} s per row; two gateways, two writers, Redis with "
        f"appendfsync always, a stand-in for Qdrant; python {platform.python_version()}, "
        f"{len(os.sched_getaffinity(0))} cpus, load {load:.2f} before; took {time.monotonic() - began:.0f} s"
    )
    return 0 if all(row.good for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description="What is lost when processes die.")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0, help="per scenario; recovery comes on top")
    parser.add_argument("--rate", type=float, default=20.0, help="turns a second, of all users together")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="of " + ", ".join(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help=f"20 users and {', '.join(QUICK)}: what CI runs")
    return parser


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
