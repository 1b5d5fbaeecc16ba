"""What is asked, by whom, in which conversation: a chat body read once, for the verbs that follow. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.admit import Key, Mode, Options, admit
from gateway.ask import Ask, Tale
from gateway.errors import BadRequest, NotSpliceable
from gateway.feedback import Remark, beside
from gateway.media import Part, parts
from gateway.memory.budget import message_tokens, raw_tokens
from gateway.memory.policies.base import Policy
from gateway.memory.records import Scope
from gateway.wire import chat
from gateway.wire.chat import ChatRequest

NOT_TURNS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class History:
    """A conversation's turns. Per turn: the messages it spans, where its text may be inserted, its size in estimated
    tokens, and the hash of all that led to it. `head` is the size of what belongs to no turn, tools included; `answer`
    the tokens that the request sets aside for the answer, 0 when it does not say. `asides` are user messages that
    another one follows within their turn: each one's turn, message index and hash. `opening` is the hash at the last
    turn's first user message if that is one of them, else ""."""

    spans: tuple[range, ...]
    targets: tuple[int, ...]
    sizes: tuple[int, ...]
    chains: tuple[str, ...]
    head: int
    answer: int
    asides: tuple[tuple[int, int, str], ...] = ()
    opening: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question that memory may act on. `said` is the user's text of the last turn; `at` when it was said, `as_of`
    the moment that it looks back to, if it does. `window` is how many tokens its model takes, 0 where nobody knows.
    `remark` is what it says of an earlier answer, `watch` what its user asks to be told of once it is known, "" for
    nothing."""

    scope: Scope
    session: str | None
    mode: Mode
    policy: Policy
    budget: int
    at: float
    request: ChatRequest
    past: History
    said: str
    window: int
    remark: Remark | None = None
    as_of: float | None = None
    watch: str = ""

    @property
    def writes(self) -> bool:
        """Whether the turn is to be kept."""
        return self.mode.writes and self.policy.keeps

    @property
    def shown(self) -> tuple[Part, ...]:
        """The pictures and videos of its last turn, as they were sent."""
        sent = self.request.fields["messages"]
        return parts(sent[i] for i in self.past.spans[-1] if self.request.messages[i].role == "user")


def read(ask: Ask, mode: Mode, tale: Tale) -> ChatRequest | None:
    """The body, where there is something for us in it. None: it passes verbatim, and the worker judges it."""
    if not isinstance(ask.body, bytes):
        tale.skip("body-too-large")
        return None
    if mode.name == "off" and b'"memory"' not in ask.body:
        return None
    try:
        return chat.read(ask.body)
    except NotSpliceable:
        tale.skip("unreadable-body")
        return None


def understand(
    ask: Ask,
    request: ChatRequest,
    key: Key,
    mode: Mode,
    tale: Tale,
    *,
    policies: Mapping[str, Policy],
    default: str,
    budget: int,
    now: float,
) -> Question | None:
    """The question; None when memory stays off for it, with the reason in the tale. BadRequest for bad options."""
    caller = admit(key, ask.fields, request.fields)
    policy = _policy(caller.options, policies, default)
    if mode.name == "off":
        return None
    if caller.scope is None:
        tale.skip("no-user")
        return None
    turns = chat.user_turns(request.messages)
    if not turns:
        tale.skip("no-user-message")
        return None
    past = _history(request, turns)
    said = "\n".join(request.messages[i].text for i in past.spans[-1] if request.messages[i].role == "user")
    options = caller.options
    return Question(
        scope=caller.scope,
        session=caller.session,
        mode=mode,
        policy=policy,
        budget=budget if options.tokens is None else options.tokens,
        at=now if options.at is None else options.at,
        request=request,
        past=past,
        said=said,
        window=ask.worker.window(request.model),
        remark=beside(request.fields.get("metadata"), now),
        as_of=options.as_of,
        watch=options.watch,
    )


def following(question: Question, request: ChatRequest) -> Question:
    """A question of the same conversation with a longer request, of which nobody knows yet what is said in it."""
    return replace(question, request=request, past=_history(request, chat.user_turns(request.messages)), said="")


def _policy(options: Options, policies: Mapping[str, Policy], default: str) -> Policy:
    name = options.policy or default
    if name not in policies:
        raise BadRequest(f"'memory.policy' must be one of {', '.join(sorted(policies))}.", param="memory.policy")
    return policies[name]


def _history(request: ChatRequest, turns: tuple[tuple[int, int], ...]) -> History:
    bounds = [first for first, _ in turns] + [len(request.messages)]
    spans = tuple(range(bounds[i], bounds[i + 1]) for i in range(len(turns)))
    costs = [message_tokens(message.normal, message.others) for message in request.messages]
    sizes = tuple(sum(costs[i] for i in span if request.messages[i].role not in NOT_TURNS) for span in spans)
    said = [(i, i) for i, message in enumerate(request.messages) if message.role == "user"]
    hashes = dict(zip((i for i, _ in said), chat.chains(request.messages, tuple(said)), strict=True))
    ends = tuple(last for _, last in turns)
    asides = tuple(
        (turn, i, hashes[i]) for turn, span in enumerate(spans) for i in span if i in hashes and i != ends[turn]
    )
    opening = hashes[turns[-1][0]] if turns[-1][0] != ends[-1] else ""
    outside = len(request.raw) - (request.messages[-1].end - request.messages[0].start)
    head = sum(costs) - sum(sizes) + raw_tokens(outside)
    chains = tuple(hashes[i] for i in ends)
    return History(spans, ends, sizes, chains, head, _answer(request.fields), asides, opening)


def _answer(fields: Mapping[str, Any]) -> int:
    asked = fields.get("max_completion_tokens") or fields.get("max_tokens")
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and asked > 0 else 0
