"""`python -m tests.bench_memory`, which is `make bench-memory`: parses, has the parts run, prints what they tell."""

import argparse
import sys
from importlib import import_module

PARTS = ("curves", "lsh", "longrun", "longplot")
"""Modules here, each with a `run(options)` that gives text. Imported when they run: only one of them needs MiniLM, and
plots are drawn where matplotlib is, in the workers' environment."""


def main() -> int:
    """0 when all that was asked for ran."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_memory", description="What memory policies do.")
    parser.add_argument("parts", nargs="*", help="of " + ", ".join(PARTS) + "; all of them when none is named")
    parser.add_argument("--sentences", type=int, default=3000, help="for lsh")
    parser.add_argument("--turns", type=int, default=1000, help="for longrun")
    parser.add_argument("--policies", default="", help="for longrun; all that need no model when none is named")
    options = parser.parse_args()
    if unknown := set(options.parts) - {*PARTS}:
        parser.error(f"{unknown.pop()} is none of {', '.join(PARTS)}")
    for name in options.parts or PARTS:
        print(f"{import_module(f'tests.bench_memory.{name}').run(options)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
