"""The parts of `make prove`: each runs one thing as large as it was asked for, and gives its verdicts. Knows no part's
business."""

import asyncio
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from tests.prove import table
from tests.prove.forgetting.run import Forgot, forgetting
from tests.prove.fuzz import fuzz
from tests.prove.isolation.run import Plan, isolated
from tests.prove.isolation.witness import Witness
from tests.prove.run import prove
from tests.prove.verdict import Verdict
from tests.support.gateway import ROOT

Say = Callable[[str], None]
Part = Callable[[Namespace, Say], Awaitable[Sequence[Verdict]]]
_TOLD = 5
_POISON = "tests/e2e/test_poisoning.py"
TOPOLOGIES = {False: "one process", True: "a fleet"}
"""By whether it is a fleet. Both run beside each other."""
_SEES = (
    "prompts",
    "prompts that tell of a watch",
    "answers",
    "feedback",
    "memories",
    "watches",
    "export",
    "traces",
    "search",
    "dry runs",
    "turns",
    "all memories",
    "all traces",
    "all watches",
    "all reflections",
)
"""Where people are told what is theirs; a part that saw nothing there has searched nothing."""


async def chaos(options: Namespace, say: Say) -> Sequence[Verdict]:
    """Processes die, stall and fill up. Has a table of its own."""
    rows = await prove(options.scenarios.split(","), options.users, options.seconds, options.rate, say)
    say("")
    print(f"\n{table.text(rows)}\n")
    print(f"{options.users} users, {options.rate:g} turns a second, {options.seconds:g} s per row")
    bad = sum(row.lost + row.twice + row.failed + row.leaked for row in rows)
    told = tuple(row.title for row in rows if not row.good)
    never = "lost, twice, failed by memory, leaked"
    return [
        Verdict("chaos", f"acknowledged turns, {len(rows)} harms", sum(row.turns for row in rows), never, bad, told)
    ]


async def isolation(options: Namespace, say: Say) -> Sequence[Verdict]:
    """Everybody does everything, beside everybody else."""
    plans = [Plan(options.operations // 2, options.tenants, options.names, fleet) for fleet in TOPOLOGIES]
    seen = [isolated(plan, partial(_of, say, f"isolation, {TOPOLOGIES[plan.fleet]}")) for plan in plans]
    found = [*zip(plans, await asyncio.gather(*seen), strict=True)]
    say("")
    for plan, witness in found:
        print(f"isolation, {TOPOLOGIES[plan.fleet]}: {witness.away} calls were answered with 503 and made again")
    return [each for plan, witness in found for each in isolation_verdicts(plan, TOPOLOGIES[plan.fleet], witness)]


def isolation_verdicts(plan: Plan, name: str, witness: Witness) -> list[Verdict]:
    """Of one run. Where nobody was told even what is theirs, nothing was searched."""
    part, who = f"isolation, {name}", f"{plan.tenants} × {plan.users} users"
    wrong = tuple(f"{number} times {what}" for what, number in witness.wrong.items())
    blind = [f"nothing of anybody's own was seen in {where}" for where in _SEES if not witness.own[where]]
    found, told = len(witness.found) + len(blind), (*witness.found, *blind)[:_TOLD]
    reads, shared = witness.reads.total(), tuple(witness.shared)
    return [
        Verdict(part, f"operations of {who}", plan.operations, "another status than expected", len(wrong), wrong),
        Verdict(part, "prompts, answers, pages, log lines", reads, "a word of others", found, told),
        Verdict(part, "salts, session ids, affinities", len(witness.marks), "shared", len(shared), shared[:_TOLD]),
    ]


async def forget(options: Namespace, say: Say) -> Sequence[Verdict]:
    """Users are forgotten in mid-answer."""
    names = TOPOLOGIES.items()
    seen = [forgetting(options.forgotten, fleet, partial(_of, say, f"forgetting, {name}")) for fleet, name in names]
    found = zip(TOPOLOGIES.values(), await asyncio.gather(*seen), strict=True)
    return [each for name, forgot in found for each in forgetting_verdicts(name, forgot)]


def forgetting_verdicts(name: str, found: Forgot) -> list[Verdict]:
    """Of one run. `seen` of nothing would mean that nothing was searched."""
    part, learned = f"forgetting, {name}", tuple(found.learned)
    left = (*found.left, *(f"{word} was to stay" for word in found.lost))
    wrong = (*found.forged, *found.doubted)
    return [
        Verdict(part, "turns under way", found.begun, "learned after all", len(learned), learned[:_TOLD]),
        Verdict(part, "files, keys and points with a word", found.seen, "still with one", len(left), left[:_TOLD]),
        Verdict(part, "certificates, a byte altered", found.altered, "taken for genuine", len(wrong), wrong[:_TOLD]),
    ]


async def fuzzing(options: Namespace, say: Say) -> Sequence[Verdict]:
    """Whatever can be sent."""
    found = await fuzz(options.cases, say)
    return [
        Verdict("fuzz", "cases", found.cases, "a 5xx of our own", found.own_5xx, found.examples),
        Verdict("fuzz", "cases", found.cases, "anything else broken", found.other),
    ]


async def poisoning(_options: Namespace, say: Say) -> Sequence[Verdict]:
    """Texts that want to instruct the model."""
    say(f"{_POISON} …")
    with tempfile.TemporaryDirectory(prefix="mneme-prove-") as folder:
        report = Path(folder) / "report.xml"
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-q", _POISON, f"--junitxml={report}"),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await running.wait()
        tests = [*ElementTree.parse(report).getroot().iter("testcase")]
    failed = [
        test.get("name", "") for test in tests if test.find("failure") is not None or test.find("error") is not None
    ]
    return [
        Verdict(
            "poisoning",
            "poisoned and ordinary texts",
            len(tests),
            "one that outranks, escapes or is suspected",
            len(failed),
            tuple(failed),
        )
    ]


PARTS: dict[str, Part] = {
    "chaos": chaos,
    "isolation": isolation,
    "forgetting": forget,
    "fuzz": fuzzing,
    "poisoning": poisoning,
}


def _of(say: Say, part: str, what: str) -> None:
    say(f"{part}: {what}")
