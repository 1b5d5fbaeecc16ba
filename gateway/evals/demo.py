"""The demo from end to end: tell every conversation, wait, ask, report, forget. Must never print or parse arguments."""

import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

from tqdm import tqdm

from gateway.evals.ask import ask, chosen, newest_first
from gateway.evals.child import own_gateway
from gateway.evals.door import Door, DoorShut
from gateway.evals.locomo import DatasetRefused, Dialogue, parse
from gateway.evals.replay import replay
from gateway.evals.report import Report, document, table
from gateway.evals.tally import Asked, Replayed

_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `base_url` "" starts a gateway of our own; limits are None for all there is, `questions` is per
    conversation. `key` and `admin_key` open /v1 and /admin ("" for none), `tenant` is what `key` belongs to."""

    file: Path
    base_url: str
    key: str
    admin_key: str
    tenant: str
    conversations: int | None
    questions: int | None
    keep: bool
    json: Path | None


@dataclass(slots=True)
class _Findings:
    users: dict[str, str] = field(default_factory=dict)
    replayed: list[Replayed] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    at_once: list[Asked] = field(default_factory=list)
    later: list[Asked] = field(default_factory=list)


async def run(plan: Plan, say: Callable[[str], None]) -> bool:
    """Do it and `say` the result; False when a user of the demo could not be forgotten.

    DatasetRefused before anything is sent; DoorShut when the gateway does not do what it is asked.
    """
    dialogues = (await asyncio.to_thread(_read, plan.file))[: plan.conversations]
    found = _Findings()
    async with _gateway(plan, say) as base_url, Door.open(base_url, plan.key, plan.admin_key) as door:
        try:
            for dialogue in dialogues:
                await _converse(door, plan, dialogue, found)
            await _tell(plan, _report(plan, door.model, dialogues, found), say)
        finally:
            forgotten = await _leave(door, plan, found.users, say)
    return forgotten


async def _tell(plan: Plan, report: Report, say: Callable[[str], None]) -> None:
    say(table(report))
    if plan.json is not None:
        await asyncio.to_thread(plan.json.write_bytes, document(report))
        say(f"Every question is in {plan.json}.")


async def _leave(door: Door, plan: Plan, users: Mapping[str, str], say: Callable[[str], None]) -> bool:
    """Forget the users, or say who they are. A failure is said, not raised: it must not hide what led here."""
    forgotten = True
    for name, user in users.items():
        if plan.keep:
            say(f"{name} is remembered as user {user}.")
            continue
        try:
            await door.forget(user, plan.tenant)
        except DoorShut as failed:
            say(failed.message)
            forgotten = False
    return forgotten


def _report(plan: Plan, model: str, dialogues: Sequence[Dialogue], found: _Findings) -> Report:
    return Report(
        file=plan.file.name,
        model=model,
        replayed=found.replayed,
        asked=found.asked,
        at_once=found.at_once,
        later=found.later,
        left_out=sum(dialogue.left_out for dialogue in dialogues),
        unasked=sum(not question.evidence for dialogue in dialogues for question in dialogue.questions),
    )


async def _converse(door: Door, plan: Plan, dialogue: Dialogue, found: _Findings) -> None:
    user = found.users[dialogue.name] = f"demo-{secrets.token_hex(4)}-{dialogue.name}"
    questions = chosen(dialogue, plan.questions)
    early = newest_first(dialogue, questions)[:_AT_ONCE]
    began = time.perf_counter()
    with _bar(len(dialogue.turns), f"{dialogue.name}: telling") as bar:
        skipped = await replay(door, dialogue, user, bar.update)
    seconds = time.perf_counter() - began
    pending = (await door.lag()).pending
    with _bar(len(early) + len(questions), f"{dialogue.name}: asking") as bar:
        found.at_once += await ask(door, dialogue, user, early, "at-once", bar.update)
        await door.indexed()
        asked = await ask(door, dialogue, user, questions, "indexed", bar.update)
    found.asked += asked
    answers = dict(zip(questions, asked, strict=True))
    found.later += [answers[question] for question in early]
    found.replayed.append(Replayed(dialogue.name, user, len(dialogue.turns), seconds, pending, skipped))


@asynccontextmanager
async def _gateway(plan: Plan, say: Callable[[str], None]) -> AsyncIterator[str]:
    if plan.base_url:
        yield plan.base_url
        return
    data = Path(tempfile.mkdtemp(prefix="mneme-demo-"))
    try:
        async with own_gateway(data) as base_url:
            say(f"No --base-url: started a gateway of our own at {base_url}, with the embedded reader and {data}.")
            yield base_url
    finally:
        if not plan.keep:
            await asyncio.to_thread(shutil.rmtree, data)


def _bar(total: int, name: str) -> "tqdm[Never]":
    """On a terminal only, so that a log stays readable."""
    return tqdm(total=total, desc=name, file=sys.stderr, disable=None, unit="")


def _read(file: Path) -> tuple[Dialogue, ...]:
    try:
        return parse(file.read_bytes())
    except OSError as failed:
        raise DatasetRefused(f"{file} cannot be read: {failed.strerror}") from None
    except DatasetRefused as refused:
        raise DatasetRefused(f"{file}: {refused.message}") from None
