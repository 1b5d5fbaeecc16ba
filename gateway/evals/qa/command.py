"""The arguments of `mneme eval qa`, and what they mean as a plan. Knows no settings and measures nothing."""

import argparse
from pathlib import Path

from gateway.evals.qa.run import Plan
from gateway.memory.policies import TABLE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", type=Path, help="conversations with answers: LoCoMo's or LongMemEval's shape")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT", help="the report; answers go beside it")
    parser.add_argument("--model", required=True, help="who answers")
    parser.add_argument("--judge-model", default="", help="who judges; without it only token F1 is told")
    parser.add_argument("--base-url", required=True, help="of both, with /v1; MNEME_UPSTREAM_KEY opens it")
    parser.add_argument("--policy", choices=tuple(TABLE), help="what memory does (MNEME_POLICY)")
    parser.add_argument("--conversations", default="", metavar="A,B", help="only these, by name")
    parser.add_argument("--split", choices=("dev", "held-out", "all"), default="all", help="half of the conversations")
    parser.add_argument("--turns", type=_some, default=0, metavar="N", help="tell only the first N turns of each")
    parser.add_argument("--questions", type=_some, default=0, metavar="N", help="at most N of each conversation")
    parser.add_argument("--at-once", type=_some, default=4, metavar="N", help="questions under way together")
    parser.add_argument("--prices", type=_prices, metavar="IN,OUT", help="of a million tokens of prompt and of answer")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run of the same kind was answered")


def plan(given: argparse.Namespace) -> Plan:
    """The plan that the arguments ask for."""
    return Plan(
        file=given.file,
        json=given.json,
        model=given.model,
        judge=given.judge_model,
        policy=given.policy or "",
        conversations=tuple(name for name in given.conversations.split(",") if name),
        split=given.split,
        turns=given.turns,
        questions=given.questions,
        at_once=given.at_once,
        prices=given.prices,
        resume=given.resume,
    )


def _some(told: str) -> int:
    """A whole number from 1 up."""
    if not told.isdecimal() or int(told) < 1:
        raise argparse.ArgumentTypeError(f"{told!r} is no whole number from 1 up")
    return int(told)


def _prices(told: str) -> tuple[float, float]:
    """Two numbers."""
    try:
        into, out = (float(part) for part in told.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{told!r} is no pair of prices such as 0.15,0.6") from None
    return into, out
