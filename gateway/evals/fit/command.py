"""The arguments of `mneme eval fit`, and what they mean as a plan. Knows no settings and fits nothing."""

import argparse
from pathlib import Path

from gateway.evals.fit.run import Plan


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", type=Path, help="anything that `mneme eval recall` reads")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT", help="weights and figures")
    parser.add_argument("--questions", type=Path, metavar="FILE", help="JSON Lines of questions about an export")
    parser.add_argument("--conversations", default="", metavar="A,B", help="only these, by name")
    parser.add_argument("--split", choices=("dev", "held-out", "all"), default="dev", help="half of the conversations")
    parser.add_argument(
        "--tune-on-held-out",
        action="store_true",
        help="needed for --split held-out and all: what is fitted to can no longer tell how good the fit is",
    )
    parser.add_argument("--trade", action="store_true", help="what other thresholds would inject and find")
    parser.add_argument("--ablate", action="store_true", help="fit again without each column of the order in turn")


def plan(given: argparse.Namespace) -> Plan:
    """The plan that the arguments ask for."""
    return Plan(
        file=given.file,
        json=given.json,
        questions=given.questions,
        conversations=tuple(name for name in given.conversations.split(",") if name),
        split=given.split,
        tune_on_held_out=given.tune_on_held_out,
        ablate=given.ablate,
        trade=given.trade,
    )
