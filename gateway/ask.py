"""What the client sent and what became of it: plain values that the story passes along. Knows no ASGI, and of memory
only nouns."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.memory.records import Usage
from gateway.upstream.client import Body, Headers
from gateway.upstream.passage import Asking, Passage
from gateway.upstream.worker import Worker


@dataclass(frozen=True, slots=True)
class Ask:
    """One request under /v1. `path` is what follows /v1, raw, with its query; `headers` have lower-case names.

    `body` is all of it, or an iterator where it is too large to be held or not ours to read. `passage` leads to who
    answers. `id` is the request's, by which its answer, its log lines and its spans name it.
    """

    method: str
    path: str
    headers: Headers
    fields: Mapping[bytes, bytes]
    body: Body
    passage: Passage
    id: str = ""

    @property
    def worker(self) -> Worker:
        """Who answers; once it is asked, who did."""
        return self.passage.worker

    def send(self, headers: Headers, body: Body) -> Asking:
        """Ask, with these headers and this body: a context with the answer."""
        return self.passage.send(self.method, self.path, headers, body)


@dataclass(slots=True)
class Tale:
    """What happened to one request: told in the answer's headers, in metrics and in the trace. It `began` at a moment
    of this process's monotonic clock: nothing of it is kept once its user was forgotten after that. `answer` is the id
    that the worker gave its answer, `usage` what it told that this took."""

    id: str
    mode: str
    began: float = field(default_factory=time.monotonic)
    count: int = 0
    tokens: int = 0
    millis: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    answer: str = ""
    usage: Usage = field(default_factory=Usage)

    def skip(self, reason: str) -> None:
        """Name what memory did not do; `reason` comes from a closed set of words."""
        if reason and reason not in self.skipped:
            self.skipped.append(reason)

    def headers(self) -> Headers:
        """The x-mneme-* headers. Milliseconds are what memory added before the worker was asked."""
        spent = sum(self.millis.values())
        told = [
            (b"x-mneme-mode", self.mode.encode()),
            (b"x-mneme-count", b"%d" % self.count),
            (b"x-mneme-tokens", b"%d" % self.tokens),
            (b"x-mneme-ms", b"%.2f" % spent),
            (b"x-mneme-trace", self.id.encode()),
        ]
        if self.skipped:
            told.append((b"x-mneme-skipped", ",".join(self.skipped).encode()))
        return told
