"""What is counted and timed, with labels from closed sets only. Never a user, a session or a text in a label."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from gateway.errors import UpstreamError
from gateway.tracing import UNTRACED, Said, Tracer

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


_LAGS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600)
_THOUGHT = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_DELAYS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_BETWEEN_LOOKS = 0.5
# A turn that is told to have been said longer ago, or that is yet to be said, was not waited for all that time.
_LONGEST_LAG = 86_400.0


class Telemetry:
    """One registry per application, so that two gateways in one process never share a counter. `tracer` keeps spans,
    `running` are the requests that are being answered."""

    def __init__(self, tracer: Tracer = UNTRACED) -> None:
        self.tracer = tracer
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.verbs = self._histogram("verb_seconds", "Time per verb of the story", _BUCKETS, "verb")
        self.answers = self._counter("answers", "Answers by memory mode and class of status", "mode", "status")
        self.skipped = self._counter("skipped", "What memory skipped, and why", "reason")
        self.recalls = self._counter("recalls", "Questions that memory was asked for, by what came of it", "outcome")
        self.injected = self._histogram(
            "injected_tokens",
            "Estimated tokens injected per turn that recalled",
            (0, 50, 100, 200, 400, 800, 1600, 3200),
        )
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens of answers that tell how many were cached")
        self.cached_tokens = self._counter("cached_tokens", "Of these, tokens that the worker had in its prefix cache")
        self.upstream_errors = self._counter("upstream_errors", "Workers that did not answer, or not wholly", "kind")
        self.turns = self._counter("turns", "Turns journalled, by how they ended", "ending")
        self.indexed = self._counter("indexed", "Turns indexed by the writer", "result")
        self.index_lag = self._histogram("index_lag_seconds", "From the question of a turn to its indexing", _LAGS)
        self.reflections = self._counter("reflections", "Looks at turns to think about", "policy", "result")
        self.reflect_calls = self._counter("reflect_calls", "Answers of the model that reflection asks")
        self.reflect_tokens = self._counter("reflect_tokens", "Tokens of these, prompts and answers together")
        self.think = self._histogram("think_seconds", "Time to think about some turns of a user", _THOUGHT)
        self.thoughts_due = self._gauge("thoughts_due", "Turns that are to be thought about")
        self.expired = self._counter("expired", "What was older than its tenant keeps it, and went", "what")
        self.limits = self._counter("limits", "Requests beyond a limit, or let through unchecked", "outcome")
        self.warmed = self._counter("warmed", "Prompts computed ahead of being asked for, by how it ended", "result")
        self.running = 0
        self._gauge("requests_in_flight", "Requests that are being answered").set_function(lambda: self.running)
        self.tasks = self._gauge("tasks", "Tasks on the event loop, seen when it was asked")
        self.loop_delay = self._histogram(
            "loop_delay_seconds", "How late the event loop does what was due, looked at twice a second", _DELAYS
        )
        self.pending = self._gauge("journal_pending", "Turns waiting to be indexed")
        self.dead = self._gauge("journal_dead", "Turns that could not be indexed")
        self.oldest = self._gauge("journal_oldest_seconds", "Age of the oldest waiting turn")

    @contextmanager
    def verb(self, name: str, millis: dict[str, float]) -> Iterator[None]:
        """Time one verb: into the histogram, into a span, and into the `millis` of the answer's trace."""
        began = perf_counter()
        try:
            with self.tracer.span(name):
                yield
        finally:
            took = perf_counter() - began
            self.verbs.labels(name).observe(took)
            millis[name] = round(took * 1000, 3)

    def broke(self, failed: UpstreamError) -> None:
        """A worker did not answer, or not wholly."""
        self.upstream_errors.labels((failed.code or "other").removeprefix("upstream_")).inc()

    def recalled(self, outcome: str, memories: int, tokens: int) -> None:
        """What came of a recall: hit, silent, skipped; "" where nothing was to be recalled."""
        if outcome:
            self.recalls.labels(outcome).inc()
            self.tracer.note({"mneme.outcome": outcome, "mneme.memories": memories, "mneme.tokens": tokens})

    def answered(self, said: Said) -> None:
        """What a whole answer tells about itself."""
        details, prompt = said.usage.get("prompt_tokens_details"), said.usage.get("prompt_tokens")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        if isinstance(prompt, int) and isinstance(cached, int) and 0 <= cached <= prompt:
            self.prompt_tokens.inc(prompt)
            self.cached_tokens.inc(cached)
        self.tracer.answered(said)

    def reflected(self, seconds: float, lags: Sequence[float]) -> None:
        """A batch was indexed in so many seconds, and its turns so many after their question."""
        self.verbs.labels("reflect").observe(seconds)
        for lag in lags:
            if 0 <= lag <= _LONGEST_LAG:
                self.index_lag.observe(lag)

    def asked(self, tokens: int) -> None:
        """The model that reflection asks has answered."""
        self.reflect_calls.inc()
        self.reflect_tokens.inc(tokens)

    async def watch_loop(self) -> None:
        """Look now and then how late the event loop is, for as long as this runs."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BETWEEN_LOOKS
            await asyncio.sleep(_BETWEEN_LOOKS)
            self.loop_delay.observe(max(loop.time() - due, 0.0))

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"mneme_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"mneme_{name}", what, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"mneme_{name}", what, labels, buckets=buckets, registry=self.registry)
