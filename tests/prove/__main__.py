"""`python -m tests.prove`, which is `make prove`: parses, runs, prints one table; the exit status says whether all
of it is as it must be."""

import argparse
import asyncio
import os
import platform
import shutil
import sys
import time

from tests.prove.parts import PARTS
from tests.prove.scenarios import QUICK, SCENARIOS
from tests.prove.verdict import Verdict, summary
from tests.support.redis_server import PROGRAM

_SLICE = {
    "scenarios": ",".join(QUICK),
    "users": 20,
    "seconds": 6.0,
    "rate": 20.0,
    "operations": 2000,
    "tenants": 6,
    "names": 20,
    "forgotten": 2,
    "cases": 1000,
}


def main() -> int:
    """0 when nothing was found that must not be, else 1; 2 when it cannot run here."""
    options = _parser().parse_args()
    if shutil.which(PROGRAM) is None:
        print(f"{PROGRAM} is needed", file=sys.stderr)
        return 2
    if options.quick:
        vars(options).update(_SLICE)
    began, load = time.monotonic(), os.getloadavg()[0]
    verdicts: list[Verdict] = []
    for name in options.parts.split(","):
        started = time.monotonic()
        verdicts += asyncio.run(_one(name, options))
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"\n{summary(verdicts)}\n")
    print(
        f"python {platform.python_version()}, {len(os.sched_getaffinity(0))} cpus, load {load:.2f} before; "
        f"took {time.monotonic() - began:.0f} s"
    )
    return 0 if all(verdict.good for verdict in verdicts) else 1


async def _one(name: str, options: argparse.Namespace) -> list[Verdict]:
    verdicts = [*await PARTS[name](options, _say)]
    _say("")
    return verdicts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description="What must not be, tried.")
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--users", type=int, default=200, help="chaos: so many speak")
    parser.add_argument("--seconds", type=float, default=20.0, help="chaos: per scenario; recovery comes on top")
    parser.add_argument("--rate", type=float, default=20.0, help="chaos: turns a second, of all users together")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="chaos: of " + ", ".join(SCENARIOS))
    parser.add_argument("--operations", type=int, default=100_000, help="isolation: in both topologies together")
    parser.add_argument("--tenants", type=int, default=50, help="isolation")
    parser.add_argument("--names", type=int, default=20, help="isolation: users of each tenant")
    parser.add_argument("--forgotten", type=int, default=12, help="forgetting: users, in each topology")
    parser.add_argument("--cases", type=int, default=20_000, help="fuzz")
    parser.add_argument("--quick", action="store_true", help="a slice of everything")
    return parser


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
