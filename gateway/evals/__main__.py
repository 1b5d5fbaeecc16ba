"""`python -m gateway.evals demo FILE`: parses, calls, prints. No logic."""

import argparse
import asyncio
import sys
from pathlib import Path

from gateway.errors import MnemeError
from gateway.evals.demo import Plan, run


def main() -> int:
    """The exit status is 0 when all went well, 1 when the file or the gateway did not play along, 130 on Ctrl-C."""
    given = vars(_parser().parse_args())
    given.pop("command")
    try:
        forgotten = asyncio.run(run(Plan(**given), _say))
    except MnemeError as refused:
        sys.stderr.write(f"demo: {refused.message}\n")
        return 1
    except OSError as failed:  # such as an --json that cannot be written
        sys.stderr.write(f"demo: {failed}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if forgotten else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway.evals", description="What does the gateway remember?")
    demo = parser.add_subparsers(dest="command", required=True).add_parser(
        "demo", help="replay conversations of a LoCoMo-shaped file, then ask the file's questions"
    )
    demo.add_argument("file", type=Path, help="JSON in LoCoMo's shape")
    demo.add_argument("--base-url", default="", help="a running gateway, with /v1; without it one is started")
    demo.add_argument("--key", default="mneme-local", help="API key, of a tenant with many users or the local one")
    demo.add_argument("--admin-key", default="", help="the gateway's MNEME_ADMIN_KEY, if it has one")
    demo.add_argument("--tenant", default="local", help="the tenant that the API key belongs to")
    demo.add_argument("--conversations", type=_count, metavar="N", help="only the first N conversations")
    demo.add_argument("--questions", type=_count, metavar="N", help="at most N questions per conversation")
    demo.add_argument("--keep", action="store_true", help="do not forget the demo's users at the end")
    demo.add_argument("--json", type=Path, metavar="OUT", help="write all figures and every question to this file")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return int(text)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
