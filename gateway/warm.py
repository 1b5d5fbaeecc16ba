"""What the next turn's prompt begins with, computed by the worker before that turn is asked. Never holds up a turn.

A turn that follows another one finds its beginning in the worker's prefix cache: it only grew. Not so where a
compaction leaves turns out behind the head: the request at which it is decided carries the new prompt at once, and pays
for all of it. But often the decision can be foreseen, because the reply has outgrown the window already: then the
next prompt, up to what will be asked, is sent while the user still reads.

Nor does a new conversation find anything where reflection has changed what is pinned: it begins with the system's
message and with that. Such an opening is sent once it is seen to have changed, so that what was promoted to the head
is there as KV before anybody asks (MemOS calls that activation).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

import orjson

from gateway.ask import Tale
from gateway.errors import MemoryUnavailable, NotSpliceable, UpstreamError
from gateway.memory import compose
from gateway.memory.budget import raw_tokens, tokens
from gateway.prompt import Prompt
from gateway.question import Question, following
from gateway.remember import Known, Rememberer
from gateway.scribe import Scribe
from gateway.upstream.client import Headers
from gateway.upstream.errands import Errands, Job
from gateway.upstream.worker import Worker
from gateway.wire import body, chat
from gateway.wire.body import XARGS

Foresee = Callable[[Question, Known, Prompt, Worker, str], None]
"""Told of every turn that was answered: its question, what was known, its prompt, who answered, and what was said."""

_REMEMBERED = 10_000
_JSON: Headers = [(b"content-type", b"application/json")]
# What decides about the tokens of a prompt and about what may use its KV; the rest is about the answer.
_SHAPING = frozenset(
    (
        "model",
        "messages",
        "tools",
        "tool_choice",
        "documents",
        "reasoning_effort",
        "chat_template",
        "chat_template_kwargs",
        "mm_processor_kwargs",
        "media_io_kwargs",
        "cache_salt",
        "vllm_xargs",
    )
)


def blind(question: Question, known: Known, prompt: Prompt, worker: Worker, reply: str) -> None:
    """Foresees nothing."""


@dataclass(frozen=True, slots=True)
class Warmer:
    """`count` is told of each attempt how it ended: warmed, opened, needless, failed, dropped."""

    rememberer: Rememberer
    scribe: Scribe
    errands: Errands
    count: Callable[[str], None]
    # What openings workers have had of late, by worker and content.
    _openings: OrderedDict[tuple[str, bytes], None] = field(default_factory=OrderedDict)

    def foresee(self, question: Question, known: Known, prompt: Prompt, worker: Worker, reply: str) -> None:
        """Have the next prompt computed if this reply makes it begin anew; cheap where it does not."""
        if not reply:
            return
        if question.mode.reads and question.policy.thinks and worker.sink(question.request.fields.get(XARGS)) is None:
            self._offer(partial(self._open, question, known, worker))
        here = known.place.known.get(known.place.keys[-1])
        injected = compose.extended(here.text if here else "", prompt.fitted.text)
        if raw_tokens(len(reply.encode())) + tokens(injected) <= known.spare:
            return
        self._offer(partial(self._warm, question, worker, reply))

    def _offer(self, job: Job) -> None:
        if not self.errands.offer(job):
            self.count("dropped")

    async def _open(self, question: Question, known: Known, worker: Worker) -> None:
        """Have the worker compute how the user's next conversation begins, unless it has done that. A worker whose KV
        policy wants to be told of its sink is left out: with another one it would be another prefix."""
        there = known.pinned is not None and not known.first_kept and question.as_of is None
        try:
            pinned = (known.pinned or ()) if there else await self.rememberer.recaller.pinned(question.scope)
            text = compose.fit((), pinned, question.budget, "", frozenset()).text
            opening = self.scribe.opening(question, text, worker) if text else None
            if opening is None or not self._new(worker.url, opening) or there:
                return
            async with worker.upstream.send("POST", "/chat/completions", _JSON, _silent(opening)) as answer:
                await answer.whole()
            self.count("opened" if answer.status == 200 else "failed")
        except (UpstreamError, MemoryUnavailable):
            self.count("failed")

    def _new(self, url: str, opening: bytes) -> bool:
        """Whether the worker has not had it, as far as is known; from now on it has."""
        key = url, sha256(opening).digest()
        new = key not in self._openings
        self._openings[key] = None
        self._openings.move_to_end(key)
        while len(self._openings) > _REMEMBERED:
            self._openings.popitem(last=False)
        return new

    async def _warm(self, question: Question, worker: Worker, reply: str) -> None:
        try:
            self.count(await self._sent(question, worker, reply))
        except UpstreamError:
            self.count("failed")

    async def _sent(self, question: Question, worker: Worker, reply: str) -> str:
        """How it ended. Asks memory and writes the prompt as the next turn will, and keeps nothing of it."""
        try:
            request = chat.read(_continued(question, reply))
        except NotSpliceable:
            return "failed"
        ahead, tale = following(question, request), Tale("", question.mode.name)
        known = await self.rememberer.remember(ahead, tale)
        if tale.skipped or not known.moved:
            return "needless"
        prompt = await self.scribe.write(ahead, known, worker, tale)
        if tale.skipped:  # with another sink it would be another prefix
            return "failed"
        async with worker.upstream.send("POST", "/chat/completions", _JSON, _silent(prompt.body)) as answer:
            await answer.whole()
        return "warmed" if answer.status == 200 else "failed"


def _continued(question: Question, reply: str) -> bytes:
    """The body of the next request, so far as it can be known: the reply, and a question as long as the last one."""
    raw, end = question.request.raw, question.request.messages[-1].end
    more = [{"role": "assistant", "content": reply}, {"role": "user", "content": question.said}]
    return body.applied(raw, [(end, end, b"," + orjson.dumps(more)[1:-1])])


def _silent(prompt: bytes) -> bytes:
    """The same prompt, of which the worker shall say as little as it can."""
    request = chat.read(prompt)
    other = [name for name in request.members if name not in _SHAPING]
    return chat.splice(request, chat.Edits(without=other, add={"max_tokens": 1}))
