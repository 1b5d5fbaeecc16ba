"""Writes the prompt for one worker: the plan, the salt of its prefix cache, the sink of its KV policy. Fails open: what
it cannot learn in time it leaves out, and names.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway import prompt
from gateway.ask import Tale
from gateway.memory.records import Scope
from gateway.prompt import Plan, Prompt
from gateway.question import Question
from gateway.remember import Known
from gateway.upstream.sinks import Sinks
from gateway.upstream.worker import Worker
from gateway.wire.body import XARGS


@dataclass(frozen=True, slots=True)
class Scribe:
    """`salt` names whose prompts may share the worker's prefix cache ("" for everybody's), `session` the session to a
    worker that keeps its KV; `deadline` is how long, in seconds, recall and the count of a head may take together."""

    salt: Callable[[Scope], str]
    session: Callable[[Scope, str], str]
    sinks: Sinks
    deadline: float

    def expect(self, question: Question, worker: Worker) -> None:
        """Have the head counted that the prompt probably has, while memory still looks for what goes in behind it."""
        request = question.request
        if worker.sink(request.fields.get(XARGS)) is not None and (head := prompt.head(request)):
            self.sinks.expect(worker, head)

    async def write(self, question: Question, known: Known, worker: Worker, tale: Tale) -> Prompt:
        """The prompt that this worker is sent."""
        plan = prompt.plan(question, known)
        salt = self.salt(question.scope) if worker.salted(question.request.model) else ""
        keeps = worker.kv is not None and worker.kv.sessions
        session = self.session(question.scope, question.session) if keeps and question.session else ""
        return prompt.written(plan, salt, await self._sink(plan, worker, tale), session)

    def opening(self, question: Question, pinned: str, worker: Worker) -> bytes | None:
        """How another conversation of the same client and user would begin, as the body of a chat completion: what
        stands before this one's turns, and what is pinned now. None where a client's own salt keeps it apart."""
        request = question.request
        if "cache_salt" in request.fields:
            return None
        salt = self.salt(question.scope) if worker.salted(request.model) else ""
        return prompt.opening(request, pinned, salt)

    def refused(self, written: Prompt, worker: Worker) -> None:
        """The worker took the client's own prompt, and not this one."""
        if written.sunk is not None:
            self.sinks.refuse(worker, written.sunk)

    async def _sink(self, plan: Plan, worker: Worker, tale: Tale) -> tuple[bytes, int] | None:
        """The head and its tokens, where the worker would not keep so many anyway."""
        least = worker.sink(plan.request.fields.get(XARGS))
        head = None if least is None else prompt.head(plan.request, plan.drop, plan.pinned)
        if least is None or head is None:
            return None
        tokens = await self.sinks.count(worker, head, self.deadline - tale.millis.get("recall", 0.0) / 1000)
        if tokens is None:
            tale.skip("sink-unknown")
        return (head, worker.in_blocks(tokens)) if tokens is not None and tokens > least else None
