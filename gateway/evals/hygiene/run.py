"""The evaluation from end to end: read, plant, talk, wait, look at all that is remembered, write. Must never print."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.evals.hygiene import report
from gateway.evals.hygiene.measures import Heard, tallies
from gateway.evals.hygiene.planted import SYSTEM, planted
from gateway.evals.indoors import Indoors
from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.progress import bar
from gateway.evals.recall.readers import load
from gateway.evals.recall.sample import Sample, begun, chosen
from gateway.memory.records import Memory, Placed, Scope, Turn, Vector

_LONGEST = 64
_PAGE, _BATCH = 500, 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: each of the `policies` on stores of its own. `conversations` () is all of the half `split`; `turns`
    is how many of its first turns each is told, 0 for all; `model` "" is the first one that the upstream has."""

    file: Path
    json: Path
    policies: tuple[str, ...] = ("verbatim",)
    conversations: tuple[str, ...] = ()
    split: str = "all"
    turns: int = 0
    model: str = ""


async def run(plan: Plan, opener: Opener, say: Callable[[str], None]) -> None:
    """Do it, write the file, `say` the table. DatasetRefused before anything is told, NotAnswered if a model is."""
    source = await asyncio.to_thread(load, plan.file, None)
    samples = [begun(sample, plan.turns) for sample in chosen(source.samples, plan.split, plan.conversations)]
    if not any(isinstance(said, Turn) for sample in samples for said in sample.told):
        raise DatasetRefused(f"{plan.file} has no conversation that was asked for")
    found = []
    with bar(len(plan.policies) * sum(len(sample.told) for sample in samples), "hygiene") as step:
        for policy in plan.policies:
            async with Indoors.open(opener, plan.model) as house:
                looks = [await _one(house, policy, sample, step) for sample in samples]
            found.append(report.Kept.of(policy, looks))
    written = report.Report(plan.file.name, source.digest, tuple(found))
    await asyncio.to_thread(plan.json.write_bytes, report.as_json(written))
    say(report.as_markdown(written))


async def _one(house: Indoors, policy: str, sample: Sample, step: Callable[[str], None]) -> report.Look:
    """One conversation, as a user of its own."""
    scope = house.scope(sample.name)
    turns, secrets = planted(_until_now(sample, house.services.clock()))
    recalled = await _talk(house, policy, sample.name, turns, step)
    await house.settled(scope)
    memories, heard = await _all(house, scope), await _heard(house, scope)
    vectors: list[Vector] = []
    for at in range(0, len(memories), _BATCH):
        vectors += await house.services.embedder.embed([memory.text for memory in memories[at : at + _BATCH]])
    values = [secret.value for secret in secrets]
    found = await asyncio.to_thread(tallies, memories, vectors, heard, values)
    leaked = sum(any(value in f"{one.said} {one.reply}" for one in heard.values()) for value in values)
    return report.Look(len(turns), recalled, len(secrets), leaked, found)


async def _talk(house: Indoors, policy: str, user: str, turns: Sequence[Turn], step: Callable[[str], None]) -> int:
    """As a chat does: every session begins with the system prompt, and its history is sent again with every turn. In
    how many turns something was recalled."""
    recalled = 0
    sessions: defaultdict[str, list[dict[str, str]]] = defaultdict(lambda: [{"role": "system", "content": SYSTEM}])
    for turn in turns:
        messages = sessions[turn.session]
        messages.append({"role": "user", "content": turn.user_text})
        answer = await house.say(
            messages,
            user=user,
            session=turn.session,
            at=turn.at,
            mode="on",
            policy=policy,
            longest=_LONGEST,
        )
        messages.append({"role": "assistant", "content": answer.text})
        recalled += answer.injected > 0
        step(f"{policy}: {user}")
    return recalled


def _until_now(sample: Sample, now: float) -> list[Turn]:
    """The turns, moved in time so that the last one was just said: memories fade by the clock on the wall."""
    turns = [said for said in sample.told if isinstance(said, Turn)]
    late = now - max(turn.at for turn in turns)
    return [replace(turn, at=turn.at + late) for turn in turns]


async def _all(house: Indoors, scope: Scope) -> list[Memory]:
    found: list[Memory] = []
    cursor = None
    while True:
        page = await house.services.memories.browse(scope, cursor=cursor, limit=_PAGE)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return sorted(found, key=lambda memory: (memory.at, memory.seq, memory.id))


async def _heard(house: Indoors, scope: Scope) -> dict[str, Heard]:
    """Every turn as it was journalled, with all that had been put into its conversation's prompt by then."""
    placed: dict[str, Placed] = {}
    cursor = None
    while True:
        page = await house.services.sessions.chained(scope, cursor=cursor)
        placed |= {one.turn: one for _, one in page.items}
        cursor = page.cursor
        if cursor is None:
            break
    injected: defaultdict[str, str] = defaultdict(str)
    heard: dict[str, Heard] = {}
    cursor = None
    while True:
        kept = await house.services.journal.kept(scope, cursor=cursor)
        for turn in (one.turn for one in kept.items):
            injected[turn.session] += f"\n{placed[turn.id].text}" if turn.id in placed else ""
            heard[turn.id] = Heard(turn.user_text, turn.reply_text, injected[turn.session], turn.at)
        cursor = kept.cursor
        if cursor is None:
            return heard
