"""The arguments of `mneme eval hygiene`, and what they mean as a plan. Knows no settings and measures nothing."""

import argparse
from pathlib import Path

from gateway.evals.hygiene.run import Plan
from gateway.memory.policies import TABLE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", type=Path, help="conversations that `mneme eval recall` reads")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT", help="the report")
    parser.add_argument("--policies", type=_policies, default=("verbatim",), metavar="A,B", help="each on its own")
    parser.add_argument("--conversations", default="", metavar="A,B", help="only these, by name")
    parser.add_argument("--split", choices=("dev", "held-out", "all"), default="all", help="half of the conversations")
    parser.add_argument("--turns", type=_some, default=0, metavar="N", help="tell only the first N turns of each")
    parser.add_argument("--model", default="", help="who answers, of MNEME_UPSTREAM's models; without it the first")


def plan(given: argparse.Namespace) -> Plan:
    """The plan that the arguments ask for."""
    names = tuple(name for name in given.conversations.split(",") if name)
    return Plan(given.file, given.json, given.policies, names, given.split, given.turns, given.model)


def _policies(told: str) -> tuple[str, ...]:
    names = tuple(name for name in told.split(",") if name)
    if unknown := [name for name in names if name not in TABLE]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(TABLE)}")
    return names


def _some(told: str) -> int:
    """A whole number from 1 up."""
    if not told.isdecimal() or int(told) < 1:
        raise argparse.ArgumentTypeError(f"{told!r} is no whole number from 1 up")
    return int(told)
