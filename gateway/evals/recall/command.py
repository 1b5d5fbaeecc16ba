"""The arguments of `mneme eval recall`, and what they mean as a plan. Knows no settings and measures nothing."""

import argparse
from pathlib import Path

from gateway.evals.recall.run import Plan


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", type=Path, help="LoCoMo or LongMemEval JSON, a folder of BEAM chats, or an export")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT", help="the report; other files go beside it")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="the report as a page to read")
    parser.add_argument("--questions", type=Path, metavar="FILE", help="JSON Lines of questions about an export")
    parser.add_argument("--compare", type=Path, metavar="OTHER", help="another report's JSON, compared in pairs")
    parser.add_argument("--conversations", default="", metavar="A,B", help="only these, by name")
    parser.add_argument("--split", choices=("dev", "held-out", "all"), default="all", help="half of the conversations")
    parser.add_argument("--turns", type=_some, default=0, metavar="N", help="tell only the first N turns of each")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run of the same kind has found")
    parser.add_argument("--base-url", default="", help="a running gateway; without it embedded stores are filled")
    parser.add_argument("--admin-key", default="", help="that gateway's MNEME_ADMIN_KEY, if it has one")
    parser.add_argument("--tenant", default="local", help="the tenant under which that gateway is told")


def plan(given: argparse.Namespace) -> Plan:
    """The plan that the arguments ask for."""
    names = tuple(name for name in given.conversations.split(",") if name)
    return Plan(
        file=given.file,
        json=given.json,
        questions=given.questions,
        markdown=given.markdown,
        compare=given.compare,
        conversations=names,
        split=given.split,
        turns=given.turns,
        resume=given.resume,
        base_url=given.base_url,
        admin_key=given.admin_key,
        tenant=given.tenant,
    )


def _some(told: str) -> int:
    """A whole number from 1 up."""
    if not told.isdecimal() or int(told) < 1:
        raise argparse.ArgumentTypeError(f"{told!r} is no whole number from 1 up")
    return int(told)
