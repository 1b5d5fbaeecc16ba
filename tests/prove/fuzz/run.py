"""Rounds of a thousand cases against one gateway after the other, and after each whether it is well. No verdict."""

import asyncio
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.prove.fuzz.answers import answers, errands
from tests.prove.fuzz.bodies import bodies
from tests.prove.fuzz.described import described
from tests.prove.fuzz.found import Found, Fuzzed, Part, Tally, hold
from tests.prove.fuzz.heads import cuts, heads
from tests.prove.fuzz.remarks import remarks
from tests.prove.fuzz.subject import Subject, subjects
from tests.prove.fuzz.vitals import Size, ailments

ROUND = 1000
_SHARES: tuple[tuple[Callable[[Subject], Part[Any]], int], ...] = (
    (bodies, 160),
    (remarks, 40),
    (described, 400),
    (heads, 180),
    (cuts, 20),
    (answers, 180),
    (errands, 20),
)
"""Cases of each part in a round."""


async def fuzz(cases: int, say: Callable[[str], None], seed: int | None = None) -> Fuzzed:
    """At least so many cases. Without a `seed` they are other ones each time."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="mneme-fuzz-") as folder:
        say("starting two gateways …")
        async with subjects(Path(folder)) as both:
            first: dict[str, tuple[Size, int]] = {}
            number = 0
            while tally.cases < cases:
                subject = both[number % len(both)]
                await _round(subject, number, min(1.0, (cases - tally.cases) / ROUND), seed, tally, say)
                wrong, size = await ailments(subject, number), Size.of(subject.pid)
                then, since = first.setdefault(subject.name, (size, tally.cases))
                for ailment in [*wrong, *size.outgrown(then, tally.cases - since)]:
                    tally.note(f"after round {number}, {subject.name}", Found("other", ailment))
                number += 1
    return tally.told(seed)


async def _round(
    subject: Subject, number: int, share: float, seed: int, tally: Tally, say: Callable[[str], None]
) -> None:
    for place, (made, cases) in enumerate(_SHARES):
        part = await asyncio.to_thread(made, subject)
        say(f"{tally.cases} cases, {len(tally.found)} found; {part.name} at {subject.name} …")
        subject.heal()
        await asyncio.to_thread(hold, part, max(round(cases * share), 5), hash((seed, number, place)), tally)
