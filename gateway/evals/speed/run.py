"""The evaluation from end to end: fill, ask, index, write. Must never print or know how recall works."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.progress import bar
from gateway.evals.speed import report
from gateway.evals.speed.made import Maker, questions, stock
from gateway.evals.speed.measure import Asked, Examination, disk_bytes, indexed, rss_mib

_SEED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `sizes` in memories, each spread over `users`; `turns` are indexed in a store of their own."""

    json: Path
    sizes: tuple[int, ...]
    users: int = 1
    questions: int = 100
    turns: int = 320


async def run(plan: Plan, opener: Opener, say: Callable[[str], None]) -> None:
    """Do it, write the report, `say` the table. Every size gets fresh stores in a temporary directory."""
    said, asked = stock(max(plan.sizes), _SEED), []
    with bar(1 + len(plan.sizes), "speed") as step:
        with TemporaryDirectory(prefix="mneme-eval-") as data:
            async with opener(Path(data)) as services:
                identity = services.embedder.identity
                vectors = await services.embedder.embed(said)
                speed = await indexed(services, said, plan.turns, _SEED)
        step("indexed")
        for size in sorted(plan.sizes):
            maker = Maker.of(said, vectors, plan.users, _SEED)
            asked.append(await _one(plan, opener, maker, size))
            step(f"{size} memories: asked")
    found = report.Report(identity, plan.turns, speed, tuple(asked))
    await asyncio.to_thread(plan.json.write_bytes, report.as_json(found))
    say(report.as_markdown(found))


async def _one(plan: Plan, opener: Opener, maker: Maker, size: int) -> Asked:
    with TemporaryDirectory(prefix="mneme-eval-") as data:
        async with opener(Path(data)) as services:
            examination = Examination(services, maker, questions(size))
            await services.embedder.embed(["The first text takes longer than any other."])
            fill, settle = await examination.fill(size)
            first = await examination.first(plan.questions)
            later = await examination.later(plan.questions)
            disk = await asyncio.to_thread(disk_bytes, Path(data))
            return Asked(size, maker.users, fill, settle, first, later, disk, rss_mib())
