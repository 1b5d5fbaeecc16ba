"""What is counted and timed, with labels from closed sets only. Never a user, a session or a text in a label."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Telemetry:
    """One registry per application, so that two gateways in one process never share a counter."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.verbs = Histogram(
            "mneme_verb_seconds", "Time per verb of the story", ["verb"], buckets=_BUCKETS, registry=self.registry
        )
        self.answers = Counter(
            "mneme_answers", "Answers by memory mode and class of status", ["mode", "status"], registry=self.registry
        )
        self.skipped = Counter("mneme_skipped", "What memory skipped, and why", ["reason"], registry=self.registry)
        self.injected = Histogram(
            "mneme_injected_tokens",
            "Estimated tokens injected per turn that recalled",
            buckets=(0, 50, 100, 200, 400, 800, 1600, 3200),
            registry=self.registry,
        )
        self.turns = Counter("mneme_turns", "Turns journalled, by how they ended", ["ending"], registry=self.registry)
        self.indexed = Counter("mneme_indexed", "Turns indexed by the writer", ["result"], registry=self.registry)
        self.warmed = Counter(
            "mneme_warmed",
            "Prompts computed ahead of a compaction, by how it ended",
            ["result"],
            registry=self.registry,
        )
        self.pending = Gauge("mneme_journal_pending", "Turns waiting to be indexed", registry=self.registry)
        self.dead = Gauge("mneme_journal_dead", "Turns that could not be indexed", registry=self.registry)
        self.oldest = Gauge("mneme_journal_oldest_seconds", "Age of the oldest waiting turn", registry=self.registry)

    @contextmanager
    def verb(self, name: str, millis: dict[str, float]) -> Iterator[None]:
        """Time one verb: into the histogram, and into the `millis` of the answer's trace."""
        began = perf_counter()
        try:
            yield
        finally:
            took = perf_counter() - began
            self.verbs.labels(name).observe(took)
            millis[name] = round(took * 1000, 3)
