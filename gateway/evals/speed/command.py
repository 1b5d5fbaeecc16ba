"""The arguments of `mneme eval speed`, and what they mean as a plan. Knows no settings and measures nothing."""

import argparse
from pathlib import Path

from gateway.evals.speed.run import Plan

_SIZES = "1000,10000,100000"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--json", type=Path, required=True, metavar="OUT", help="the report")
    parser.add_argument("--sizes", type=_sizes, default=_SIZES, metavar="N,N", help=f"memories (default {_SIZES})")
    parser.add_argument("--users", type=_some, default=1, metavar="N", help="spread them evenly over so many users")
    parser.add_argument("--questions", type=_some, default=100, metavar="N", help="asked of every size")
    parser.add_argument("--turns", type=_some, default=320, metavar="N", help="indexed for the speed of indexing")


def plan(given: argparse.Namespace) -> Plan:
    """The plan that the arguments ask for."""
    return Plan(given.json, given.sizes, given.users, given.questions, given.turns)


def _sizes(told: str) -> tuple[int, ...]:
    return tuple(_some(part) for part in told.split(","))


def _some(told: str) -> int:
    """A whole number from 1 up."""
    if not told.isdecimal() or int(told) < 1:
        raise argparse.ArgumentTypeError(f"{told!r} is no whole number from 1 up")
    return int(told)
