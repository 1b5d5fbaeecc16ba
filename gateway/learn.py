"""What the worker said, folded into the turn and handed to retain. Never learns from an answer that failed."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.ask import Tale
from gateway.errors import MemoryUnavailable, NotFound
from gateway.feedback import Remark
from gateway.media import Part, seen
from gateway.memory.records import Ending, Turn, Usage
from gateway.memory.retain import Retainer
from gateway.question import Question
from gateway.remember import Known
from gateway.telemetry import Telemetry
from gateway.tracing import Said
from gateway.wire.fold import Folded, fold_json, fold_stream

log = logging.getLogger(__name__)

_MOST = 1 << 53  # beyond it no reader of JSON is sure of a whole number


@dataclass(slots=True)
class Learner:
    """Learns one turn, once; told again after a cut it keeps the fuller version. `injected` is never learned; `remark`
    is what the question says of an earlier answer, `shown` what it shows beside text. `reply` is what the assistant
    said in the end, "" while it has not or has more to do."""

    retainer: Retainer
    turn: Turn
    injected: str
    remark: Remark | None
    shown: tuple[Part, ...]
    streamed: bool
    tale: Tale
    telemetry: Telemetry
    nudge: Callable[[], None]
    reply: str = ""
    _whole: bool = False
    _learned: bool = False

    async def __call__(self, raw: bytes, whole: bool) -> None:
        """`raw` is what the worker sent so far; `whole` that it is all of it. Returns when the turn is durable."""
        if self._learned:
            return
        self._whole = self._whole or whole
        try:
            await self._learn(raw)
        except Exception:  # promise 8: whatever breaks in learning, the answer still ends as it should
            log.exception("learning broke")
            self.tale.skip("memory-broke")

    async def _learn(self, raw: bytes) -> None:
        folded = fold_stream(raw) if self.streamed else fold_json(raw)
        if folded.error and (self.streamed or self._whole):
            self.tale.skip("error-in-answer")
            return
        reply = folded.choices[0].content if folded.choices else ""
        finished = [choice.finish or "" for choice in folded.choices]
        self.tale.answer, self.tale.usage = folded.id, used(folded.usage)
        self.telemetry.answered(Said(folded.id, folded.model, finished, folded.usage, reply))
        media = await asyncio.to_thread(seen, self.shown) if self.shown else ()
        turn = replace(
            self.turn,
            media=media,
            reply_text=reply,
            ending=ending(folded, self._whole),
            model=folded.model or self.turn.model,
        )
        if turn.ending == "final":
            self.reply = reply
        with self.telemetry.verb("retain", self.tale.millis):
            failed = await self.retainer.retain(turn, self.injected, self.tale.began)
            await self._hear()
        self._learned = self._whole
        self.tale.skip(failed)
        if not failed:
            self.telemetry.turns.labels(turn.ending).inc()
            self.nudge()

    async def _hear(self) -> None:
        """Once; the end of the answer waits for it no longer than for the turn."""
        if self.remark is None:
            return
        remark, self.remark = self.remark, None
        try:
            async with asyncio.timeout(self.retainer.deadline):
                await self.retainer.hear(self.turn.scope, remark.of, remark.told)
        except NotFound:
            self.tale.skip("feedback-unknown")
        except (TimeoutError, MemoryUnavailable):
            self.tale.skip("feedback-lost")


def opened(question: Question, known: Known, recalled: tuple[str, ...], tale: Tale) -> Turn:
    """The turn before anything is answered; `recalled` are the memories that its prompt renders."""
    place = known.place
    return Turn(
        id=place.turn,
        scope=question.scope,
        session=place.session,
        chain=place.keys[-1],
        at=question.at,
        user_text=question.said,
        reply_text="",
        model=question.request.model,
        trace=tale.id,
        policy=question.policy.name,
        watch=question.watch,
        recalled=recalled,
    )


def ending(folded: Folded, whole: bool) -> Ending:
    """final; open when a tool must answer first; partial when the answer was cut."""
    if not whole or not folded.done:
        return "partial"
    if any(choice.calls for choice in folded.choices[:1]):
        return "open"
    return "final"


def used(told: Mapping[str, Any]) -> Usage:
    """What an answer's `usage` object tells, as far as it can be believed."""
    details = told.get("prompt_tokens_details")
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(prompt, cached if prompt is not None and cached is not None and cached <= prompt else None, completion)


def _count(told: Any) -> int | None:
    return told if type(told) is int and 0 <= told < _MOST else None
