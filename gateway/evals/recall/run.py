"""The evaluation from end to end: read, tell, ask, keep, add up, write. Must never print or know how recall works."""

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall import parts, report
from gateway.evals.recall.bootstrap import RESAMPLES
from gateway.evals.recall.embedded import Embedded, Opener
from gateway.evals.recall.general import QUESTIONS
from gateway.evals.recall.live import Live
from gateway.evals.recall.marks import BUDGETS, cost, mark
from gateway.evals.recall.measures import Quiet
from gateway.evals.recall.parts import Part
from gateway.evals.recall.progress import bar
from gateway.evals.recall.readers import Source, load
from gateway.evals.recall.sample import Sample, begun, chosen, names
from gateway.evals.recall.subject import Subject
from gateway.memory.records import Turn

# Questions that cannot be helped, of either kind, that a conversation's memory is asked: as many as it has of its own.
_FEWEST_QUIET, _MOST_QUIET = 5, 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `questions` goes with an export; `conversations` () is all; `split` is dev, held-out or all; `turns`
    is how many of its first turns each conversation is told, 0 for all. `base_url` "" means embedded stores;
    `admin_key` and `tenant` are for a live gateway."""

    file: Path
    json: Path
    questions: Path | None = None
    markdown: Path | None = None
    compare: Path | None = None
    conversations: tuple[str, ...] = ()
    split: str = "all"
    turns: int = 0
    resume: bool = False
    base_url: str = ""
    admin_key: str = ""
    tenant: str = "local"


async def run(plan: Plan, opener: Opener, say: Callable[[str], None]) -> None:
    """Do it, write the files, `say` the table. DatasetRefused before anything is told, GatewayRefused if live."""
    source = await asyncio.to_thread(load, plan.file, plan.questions)
    picked = _picked(plan, source)
    other = await asyncio.to_thread(parts.read_marks, plan.compare) if plan.compare else None
    async with _subject(plan, opener) as subject:
        configuration = _configuration(plan, source, subject)
        found = await _examine(plan, subject, source, picked, parts.key(configuration))
    whole = report.Report(
        file=plan.file.name,
        split=plan.split,
        configuration=configuration,
        parts=found,
        peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        other=other,
        other_name=plan.compare.name if plan.compare else "",
    )
    written = await asyncio.to_thread(report.render, whole)
    await asyncio.to_thread(_write, plan, found, written)
    say(written.markdown)


def _picked(plan: Plan, source: Source) -> tuple[Sample, ...]:
    known = {sample.name for sample in source.samples}
    if unknown := [name for name in plan.conversations if name not in known]:
        raise DatasetRefused(f"{plan.file} has no conversation {unknown[0]!r}")
    picked = chosen(source.samples, plan.split, plan.conversations)
    if not picked:
        raise DatasetRefused(f"{plan.file} has no conversation in the half {plan.split} that was asked for")
    return tuple(begun(sample, plan.turns) for sample in picked)


def _configuration(plan: Plan, source: Source, subject: Subject) -> dict[str, Any]:
    asked = {"budgets": BUDGETS, "resamples": RESAMPLES, "quiet": [_FEWEST_QUIET, _MOST_QUIET, len(QUESTIONS)]}
    return {**subject.identity, **asked, "shape": source.shape, "digest": source.digest, "turns": plan.turns}


@asynccontextmanager
async def _subject(plan: Plan, opener: Opener) -> AsyncIterator[Subject]:
    if plan.base_url:
        async with Live.open(plan.base_url, plan.admin_key, plan.tenant) as live:
            yield live
        return
    async with Embedded.open(opener) as embedded:
        yield embedded


async def _examine(
    plan: Plan, subject: Subject, source: Source, picked: Sequence[Sample], key: str
) -> tuple[Part, ...]:
    path = plan.json.with_suffix(".parts.jsonl")
    known: Mapping[str, Part] = {}
    if plan.resume:
        known = await asyncio.to_thread(parts.kept, path, key)
    else:
        await asyncio.to_thread(path.unlink, missing_ok=True)
    found = []
    steps = sum(1 + len(sample.questions) for sample in picked)
    with bar(steps, "recall") as step:
        for sample in picked:
            part = known.get(sample.name)
            if part is None:
                part = await _one(subject, source, sample, step)
                await parts.add(path, key, part)
            found.append(part)
    return tuple(found)


async def _one(subject: Subject, source: Source, sample: Sample, step: Callable[[str], None]) -> Part:
    try:
        told = await subject.tell(sample)
        step(f"{sample.name}: told")
        marks = []
        for number, question in enumerate(sample.questions, 1):
            answer = await subject.ask(question.text, question.at)
            marks.append(mark(sample.name, number, question, sample.labels, answer.hits, answer.millis))
            step(f"{sample.name}: asked")
        quiet = [
            Quiet(sample.name, kind, cost((await subject.ask(text, 0.0)).hits))
            for kind, texts in unhelped(source.samples, sample).items()
            for text in texts
        ]
    finally:
        await subject.forget()
    return Part(sample.name, len(sample.told), told, sample.left_out, sample.unasked, tuple(marks), tuple(quiet))


def unhelped(samples: Sequence[Sample], sample: Sample) -> dict[str, list[str]]:
    """Questions that this memory cannot help, drawn by their hash: the same ones whatever else is evaluated, and
    however many turns are told. Those of other conversations that name somebody or something known here stand apart:
    nobody can tell that another John is meant."""
    own = [q.text for whole in samples if whole.name == sample.name for q in whole.questions]
    others = {q.text for other in samples if other.name != sample.name for q in other.questions} - {*own}
    limit = min(max(len(own), _FEWEST_QUIET), _MOST_QUIET)
    drawn = sorted(others, key=lambda text: _lot(sample, text))[:limit]
    known = names(f" {said.user_text if isinstance(said, Turn) else said.text}" for said in sample.told)
    return {
        "strangers": [text for text in drawn if known.isdisjoint(names([text]))],
        "namesakes": [text for text in drawn if not known.isdisjoint(names([text]))],
        "general": sorted(QUESTIONS, key=lambda text: _lot(sample, text))[:limit],
    }


def _lot(sample: Sample, text: str) -> bytes:
    return hashlib.sha256(f"{sample.name}\n{text}".encode()).digest()


def _write(plan: Plan, found: Sequence[Part], written: report.Written) -> None:
    parts.write_marks(plan.json, [one for part in found for one in part.marks])
    plan.json.write_bytes(written.json)
    if plan.markdown is not None:
        plan.markdown.write_text(written.markdown)
