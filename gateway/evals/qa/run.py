"""The evaluation from end to end: tell, wait until it was thought about, ask, have it judged, add up. Must never print.

Questions are asked as a chat asks them: through the gateway, in a session of their own, and memory does the rest.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.evals.indoors import Indoors, NotAnswered
from gateway.evals.locomo import DatasetRefused
from gateway.evals.qa import report
from gateway.evals.qa.answers import Answered, Known, add, kept
from gateway.evals.qa.score import Judge, f1
from gateway.evals.recall import parts
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.progress import bar
from gateway.evals.recall.readers import Source, load
from gateway.evals.recall.sample import Question, Sample, begun, chosen
from gateway.memory.records import Turn
from gateway.memory.thinking import Asker

JudgeOpener = Callable[[], AbstractAsyncContextManager[Asker]]
_SYSTEM = (
    "Today is {day}. Answer the question in a few words, from what you remember. If you do not remember it, say that "
    "you do not know."
)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `policy` "" is the default one, `judge` "" asks nobody for a verdict; `conversations` () is all of
    the half `split`, `turns` is how many of its first turns each is told (0: all), `questions` how many it is asked
    (0: all). `at_once` questions are under way together; `prices` are of a million tokens of prompt and of answer."""

    file: Path
    json: Path
    model: str
    judge: str = ""
    policy: str = ""
    conversations: tuple[str, ...] = ()
    split: str = "all"
    turns: int = 0
    questions: int = 0
    at_once: int = 4
    prices: tuple[float, float] | None = None
    resume: bool = False


Numbered = tuple[int, Question]


@dataclass(frozen=True)
class _Desk:
    """Where questions are asked and judged."""

    house: Indoors
    judge: Judge | None
    policy: str
    path: Path
    key: str
    turnstile: asyncio.Semaphore

    async def answer(self, sample: Sample, number: int, question: Question) -> Answered:
        """Asked, judged, and kept."""
        expected = question.answer or ""
        async with self.turnstile:
            at = question.at or self.house.services.clock()
            day = datetime.fromtimestamp(at, UTC).strftime("%A, %-d %B %Y")
            system = {"role": "system", "content": _SYSTEM.format(day=day)}
            told = await self.house.say(
                [system, {"role": "user", "content": question.text}],
                user=sample.name,
                session=f"question-{number}",
                at=at,
                mode="read",
                policy=self.policy,
                longest=_LONGEST,
            )
            verdict, tokens = None, 0
            if self.judge is not None:
                verdict, tokens = await self.judge.verdict(question.text, expected, told.text)
            answered = Answered(
                conversation=sample.name,
                number=number,
                category=question.category,
                question=question.text,
                expected=expected,
                given=told.text,
                correct=verdict,
                f1=f1(told.text, expected) if expected else None,
                prompt_tokens=told.prompt_tokens,
                answer_tokens=told.answer_tokens,
                injected=told.injected,
                judge_tokens=tokens,
                skipped=told.skipped,
            )
            await add(self.path, self.key, answered)
            return answered


async def run(plan: Plan, opener: Opener, judging: JudgeOpener | None, say: Callable[[str], None]) -> None:
    """Do it, write the files, `say` the table. DatasetRefused before anything is told; NotAnswered and ModelAway when a
    model does not answer: what was answered by then is kept, and `resume` goes on from there."""
    source = await asyncio.to_thread(load, plan.file, None)
    picked = [(sample, _asked(sample, plan)) for sample in _told(source, plan)]
    if not any(asked for _, asked in picked):
        raise DatasetRefused(f"{plan.file} has no question with an answer that was asked for")
    async with AsyncExitStack() as stack:
        judge = Judge(await stack.enter_async_context(judging())) if judging else None
        house = await stack.enter_async_context(Indoors.open(opener, plan.model))
        configuration = _configuration(plan, source, house)
        policy, path, key = configuration["policy"], plan.json.with_suffix(".answers.jsonl"), parts.key(configuration)
        known: Known = await asyncio.to_thread(kept, path, key) if plan.resume else {}
        if not plan.resume:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        desk = _Desk(house, judge, policy, path, key, asyncio.Semaphore(plan.at_once))
        found: list[Answered] = []
        with bar(sum(len(asked) for _, asked in picked), "qa") as step:
            for sample, asked in picked:
                found += await _one(desk, sample, asked, known, step)
    written = report.Report(plan.file.name, configuration, found, plan.prices)
    await asyncio.to_thread(plan.json.write_bytes, report.as_json(written))
    say(report.as_markdown(written))


async def _one(
    desk: _Desk, sample: Sample, asked: Sequence[Numbered], known: Known, step: Callable[[str], None]
) -> list[Answered]:
    """A conversation's questions, in their order. Where all of them are answered it is not told."""
    new = [(number, question) for number, question in asked if (sample.name, number) not in known]
    if new:
        await _tell(desk, sample)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = {n: tasks.create_task(desk.answer(sample, n, question)) for n, question in new}
            for task in running.values():
                task.add_done_callback(lambda _: step(sample.name))
    except ExceptionGroup as failed:  # the first failure ended the others
        raise failed.exceptions[0] from None
    return [running[n].result() if n in running else known[sample.name, n] for n, _ in asked]


async def _tell(desk: _Desk, sample: Sample) -> None:
    """As the gateway retains turns: without their secrets, into the journal; then wait until they were thought
    about."""
    scope, services = desk.house.scope(sample.name), desk.house.services
    for said in sample.told:
        if not isinstance(said, Turn):
            raise DatasetRefused(f"{sample.name} holds memories; only what was said can be told")
        turn = replace(said, scope=scope, policy=desk.policy)
        failed = await services.story.retainer.retain(turn, "", time.monotonic())
        if failed and failed != "nothing-said":
            raise NotAnswered(f"{sample.name} could not be told: {failed}.")
    services.story.nudge()
    await desk.house.settled(scope)


def _told(source: Source, plan: Plan) -> list[Sample]:
    return [begun(sample, plan.turns) for sample in chosen(source.samples, plan.split, plan.conversations)]


def _asked(sample: Sample, plan: Plan) -> list[Numbered]:
    """Its questions that have an answer in the file, or certainly none, with their numbers; evenly spread where not all
    are asked."""
    usable = [(n, question) for n, question in enumerate(sample.questions, 1) if question.answer is not None]
    limit = min(plan.questions or len(usable), len(usable))
    return [usable[i * len(usable) // limit] for i in range(limit)]


def _configuration(plan: Plan, source: Source, house: Indoors) -> dict[str, Any]:
    story = house.services.story
    policy = plan.policy or story.default_policy
    return {
        "policy": policy,
        "knobs": repr(house.services.policies[policy]),
        "embedder": house.services.embedder.identity,
        "memory_tokens": story.memory_tokens,
        "model": house.model,
        "judge": plan.judge,
        "shape": source.shape,
        "digest": source.digest,
        "turns": plan.turns,
    }
