"""`python -m tests.soak`, which is `make soak`: parses, runs, prints one table; the exit status says whether everything
stayed flat."""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.soak import table
from tests.soak.run import soak
from tests.support.redis_server import PROGRAM


def main() -> int:
    """0 when nothing grew and nothing went wrong; else 1; 2 when it cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Does any process grow?")
    parser.add_argument("--minutes", type=float, default=30.0, help="a quarter of it to warm up (default %(default)g)")
    parser.add_argument("--json", type=Path, help="also write every sample to this file")
    options = parser.parse_args()
    if shutil.which(PROGRAM) is None:
        print(f"{PROGRAM} is needed", file=sys.stderr)
        return 2
    began, load = time.monotonic(), os.getloadavg()[0]
    found = asyncio.run(soak(options.minutes * 60, _say))
    _say("")
    print(f"\n{table.text(found)}\n")
    print(
        f"{options.minutes:g} minutes; python {platform.python_version()}, {len(os.sched_getaffinity(0))} cpus, "
        f"load {load:.2f} before; took {time.monotonic() - began:.0f} s"
    )
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in found.watched]))
    return 0 if found.good else 1


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
