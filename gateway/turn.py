"""THE STORY: one chat completion, from the question to the memory of it. Read this first.

    admit → recall → compose → relay → retain; reflect follows later, in the writer.

Rule: memory may fail, the answer may not. Whatever memory skips is named in a header and counted.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.admit import Key, read_mode
from gateway.ask import Ask, Tale
from gateway.errors import UpstreamError
from gateway.learn import Learner, opened
from gateway.memory.policies.base import Policy
from gateway.memory.retain import Retainer
from gateway.prompt import Prompt, stripped
from gateway.question import Question, read, understand
from gateway.relay import Client, is_stream, plain_coding, relay, relay_and_learn
from gateway.remember import Known, Rememberer
from gateway.scribe import Scribe
from gateway.telemetry import Telemetry
from gateway.tenants.quotas import Quotas
from gateway.upstream.client import Answer, Body
from gateway.warm import Foresee

# Statuses with which a worker says that it does not want this prompt; ours may be to blame, so it is asked again.
_REFUSALS = (400, 413, 422)


@dataclass(frozen=True, slots=True)
class Story:
    """What telling it takes. Who answers is known before it begins: the worker stands in the Ask."""

    rememberer: Rememberer
    scribe: Scribe
    retainer: Retainer
    quotas: Quotas
    telemetry: Telemetry
    policies: Mapping[str, Policy]
    default_policy: str
    memory_tokens: int
    clock: Callable[[], float]
    nudge: Callable[[], None]
    foresee: Foresee

    async def tell(self, ask: Ask, key: Key, client: Client) -> None:
        """Answer one chat completion. What memory cannot act on passes untouched."""
        mode = read_mode(ask.fields.get(b"x-mneme-memory"))
        tale = Tale(ask.id, mode.name)
        request = read(ask, mode, tale)
        if request is None:
            return await self._pass_on(ask, ask.body, tale, client)
        with self.telemetry.verb("admit", tale.millis):
            question = understand(
                ask,
                request,
                key,
                mode,
                tale,
                policies=self.policies,
                default=self.default_policy,
                budget=self.memory_tokens,
                now=self.clock(),
            )
        if question is None:
            return await self._pass_on(ask, stripped(request), tale, client)
        question = await self.quotas.held_to(question, key, tale)
        self.scribe.expect(question, ask.worker)
        with self.telemetry.verb("recall", tale.millis):
            known = await self.rememberer.remember(question, tale)
        with self.telemetry.verb("compose", tale.millis):
            prompt = await self.scribe.write(question, known, ask.worker, tale)
            tale.count, tale.tokens = len(prompt.fitted.memories), prompt.fitted.tokens
            self.telemetry.recalled(known.outcome(question, prompt.fitted), tale.count, tale.tokens)
            await self.rememberer.keep(question, known, prompt.fitted, tale)
        trace = await self.rememberer.explain(question, known, prompt.fitted, tale)
        with self.telemetry.verb("relay", tale.millis):
            reply = await self._relay(ask, question, known, prompt, tale, client)
        self.foresee(question, known, prompt, ask.worker, reply)
        await self.rememberer.conclude(trace, tale)
        return None

    async def pass_through(self, ask: Ask, client: Client) -> None:
        """Any other path under /v1: byte for byte, both ways."""
        await self._pass_on(ask, ask.body, Tale(ask.id, "off"), client)

    async def _pass_on(self, ask: Ask, body: Body, tale: Tale, client: Client) -> None:
        tale.mode = "off"
        try:
            with self.telemetry.tracer.asking(ask.path, ask.worker.url, {}) as span:
                headers = self.telemetry.tracer.onward(ask.headers)
                async with ask.send(headers, body) as answer:
                    broke = await relay(answer, client, tale.headers())
                span.ended(answer.status, broke)
        except UpstreamError as failed:
            self._count(tale, failed.status, failed)
            raise
        self._count(tale, answer.status, broke)

    async def _relay(
        self, ask: Ask, question: Question, known: Known, prompt: Prompt, tale: Tale, client: Client
    ) -> str:
        """What the assistant said in the end; "" where nobody listened, or it has more to do."""
        reply = ""
        try:
            with self.telemetry.tracer.asking(ask.path, ask.worker.url, question.request.fields) as span:
                async with self._answer(ask, question, known, prompt, tale) as answer:
                    if question.writes and answer.status == 200:
                        turn, streamed = opened(question, known, prompt.fitted.memories, tale), is_stream(answer)
                        told = turn, prompt.text, question.remark, question.shown
                        learner = Learner(self.retainer, *told, streamed, tale, self.telemetry, self.nudge)
                        broke = await relay_and_learn(answer, client, tale.headers(), learner)
                        reply = learner.reply
                    else:
                        broke = await relay(answer, client, tale.headers())
                span.ended(answer.status, broke)
        except UpstreamError as failed:
            self._count(tale, failed.status, failed)
            raise
        self._count(tale, answer.status, broke)
        return reply

    @asynccontextmanager
    async def _answer(
        self, ask: Ask, question: Question, known: Known, prompt: Prompt, tale: Tale
    ) -> AsyncIterator[Answer]:
        """The worker's answer; if it refuses the prompt as we made it, its answer to the client's own prompt."""
        headers = plain_coding(self.telemetry.tracer.onward(ask.headers))
        async with ask.send(headers, prompt.body) as answer:
            if prompt.plain is None or answer.status not in _REFUSALS:
                yield answer
                return
        async with ask.send(headers, prompt.plain) as second:
            tale.count = tale.tokens = 0
            if second.status == 200:
                tale.skip("refused-by-worker")
                self.scribe.refused(prompt, ask.worker)
                await self.rememberer.keep(question, known, prompt.fitted.nothing(), tale)
            yield second

    def _count(self, tale: Tale, status: int, broke: UpstreamError | None) -> None:
        self.telemetry.answers.labels(tale.mode, f"{status // 100}xx").inc()
        if tale.mode != "off":
            self.telemetry.injected.observe(tale.tokens)
        if broke is not None:
            self.telemetry.broke(broke)
        for reason in tale.skipped:
            self.telemetry.skipped.labels(reason).inc()
