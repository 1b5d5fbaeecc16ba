"""The worker that hears every prompt: searches it for words of others, notes what is to tell owners apart, and quotes
what it was asked, so that the answers are worth searching too. Knows no route of /admin."""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.worker import Worker
from tests.prove.isolation.people import OP, Person, canaries
from tests.prove.isolation.witness import Witness
from tests.support.upstream import Received, Reply
from tests.support.workers import REPORT

AFFINITY = b"x-conversation"
_KEEPS_SESSIONS = {**REPORT, "policy": "full", "knobs": {}, "per_request": [], "sessions": True}
_TOLD = b"you asked to be told"
_QUOTED = 4
_ENOUGH = 200  # of old prompts nobody asks any more

Says = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Sent:
    """Who sent a request, under which session (None: it named none), and the canaries that stood in it."""

    person: Person | None
    session: str | None
    canaries: frozenset[bytes]


def quoted(body: dict[str, Any]) -> str:
    """Some of the canaries of the last message, what was recalled included."""
    heard = [canary.decode() for canary in canaries(_last(body).encode())]
    return f"Noted: {', '.join(heard[:_QUOTED]) or 'nothing'}. Is there anything else that you want me to know?"


@dataclass
class Hearer:
    """`sent` says what the request of an operation held, by its number; it must stand there before it is sent. `share`
    is MNEME_CACHE_SALT: whose prompts may share a prefix cache."""

    worker: Worker
    witness: Witness
    share: str
    says: Says = quoted
    sent: dict[int, Sent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worker.says = self.says
        self.worker.upstream.answering = self.answer
        self.worker.upstream.kv = Reply(chunks=(json.dumps(_KEEPS_SESSIONS).encode(),))

    def note(self, number: int, sent: Sent) -> None:
        """What this operation is about to send."""
        self.sent[number] = sent
        self.sent.pop(number - _ENOUGH, None)

    def answer(self, received: Received) -> Reply:
        """One request's answer."""
        self.worker.upstream.received.clear()  # thousands of prompts are nobody's to keep
        if received.target == b"/kv/forget":
            self.witness.look("orders to a worker", received.body)
            return Reply(chunks=(b'{"object":"kv.forgotten","files":0}',))
        self._hear(received)
        return self.worker.answer(received)

    def _hear(self, received: Received) -> None:
        body = json.loads(received.body)
        found = OP.findall(_last(body).encode())
        sent = self.sent[int(found[-1])]  # what is recalled stands before what is said
        person, told = sent.person, sent.canaries
        allowed = told | person.said if person else told
        where = "prompts that tell of a watch" if _TOLD in received.body else "prompts"
        self.witness.look(where, received.body, allowed, person.shown if person else "nobody")
        headers = dict(received.headers)
        if person:
            self.witness.mark("affinity", headers.pop(AFFINITY).decode(), person.place)
        self.witness.look("headers to the worker", b"\n".join(headers.values()))
        if person:
            self._marks(body, person, sent.session)

    def _marks(self, body: dict[str, Any], person: Person, session: str | None) -> None:
        owner: Hashable = person.place[0] if self.share == "tenant" else person.place
        self.witness.mark("cache_salt", body["cache_salt"], owner)
        if session is not None:
            self.witness.mark("session_id", body["session_id"], (person.place, session))


def _last(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else json.dumps(content)
