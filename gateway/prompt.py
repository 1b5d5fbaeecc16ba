"""The prompt that the worker gets: what was recalled and what was said, as edits to the client's own bytes. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import orjson

from gateway.memory import compose
from gateway.memory.compose import Fitted
from gateway.memory.records import Placed
from gateway.question import NOT_TURNS, Question
from gateway.remember import Known
from gateway.wire.body import XARGS
from gateway.wire.chat import ChatRequest, Edits, splice

STRIPPED = ("memory",)
# What shapes a prompt beside its messages.
_TEMPLATE = ("model", "tools", "chat_template", "chat_template_kwargs")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to change. `inserts`: message index → text. `drop`: messages that leave. `fitted` is what is new at the
    last turn; `pinned` is the text at the first user message that stays, if something pinned stands in it, else "".
    `told` is all that was ever injected here, also into turns that have left: an answer that stays may quote it."""

    request: ChatRequest
    inserts: Mapping[int, str]
    drop: tuple[int, ...]
    fitted: Fitted
    pinned: str
    told: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The rewritten body, and the one to send should the worker refuse it (None if it is the same).

    `fitted` is what is new at the last turn; `text` is all that was ever injected into this conversation. `sunk` is the
    head whose length it tells the worker, None for none.
    """

    body: bytes
    plain: bytes | None
    fitted: Fitted
    text: str
    sunk: bytes | None


def plan(question: Question, known: Known) -> Plan:
    """Replay what was injected before, add what was recalled now, leave out the turns before `known.first_kept`."""
    request, past = question.request, question.past
    dropped = frozenset(
        i for span in past.spans[: known.first_kept] for i in span if request.messages[i].role not in NOT_TURNS
    )
    stays = _stays(question, known)
    replays = {index: placed for index, placed in stays.items() if placed.text and question.mode.reads}
    rendered = frozenset(id for placed in replays.values() for id in placed.memories)
    standing = "\n".join(message.text for i, message in enumerate(request.messages) if i not in dropped)
    said = frozenset(placed.turn for placed in stays.values())
    fitted = compose.fit(known.recall.hits, known.pinned or (), known.budget, standing, rendered, said)
    target = past.targets[-1]
    if request.messages[target].head is None:
        fitted = fitted.nothing()
    inserts = {index: placed.text for index, placed in replays.items()}
    if fitted.text:
        inserts[target] = compose.extended(inserts.get(target, ""), fitted.text)
    first = next(i for i in past.spans[known.first_kept] if request.messages[i].role == "user")
    anchored = (first in replays and replays[first].anchored) or (first == target and known.anchors(fitted))
    told = "\n".join(dict.fromkeys([*(placed.text for placed in known.place.known.values()), *inserts.values()]))
    return Plan(request, inserts, tuple(sorted(dropped)), fitted, inserts[first] if anchored else "", told)


def head(request: ChatRequest, drop: Collection[int] = (), pinned: str = "") -> bytes | None:
    """What stands before the turns and stays there, as the body of vLLM's POST /tokenize: tools, messages such as the
    system's, and pinned text. None if there is nothing of it.

    It ends with a user message, because templates may want one: with the pinned text's block or an empty one.
    """
    messages = request.messages
    first = next(i for i, message in enumerate(messages) if message.role == "user" and i not in drop)
    before = [messages[i] for i in range(first) if i not in drop]
    if not (before or pinned or request.fields.get("tools")):
        return None
    spelled = [request.raw[message.start : message.end] for message in before]
    spelled.append(orjson.dumps({"role": "user", "content": pinned}))
    found = [request.members[name] for name in _TEMPLATE if name in request.members]
    members = [request.raw[member.at : member.end] for member in found]
    return b"{%s}" % b",".join([*members, b'"messages":[%s]' % b",".join(spelled), b'"add_generation_prompt":false'])


def opening(request: ChatRequest, pinned: str, salt: str) -> bytes | None:
    """The same as the body of a chat completion, with `salt` for the worker's prefix cache ("": none)."""
    begun = head(request, (), pinned)
    if begun is None:
        return None
    found = [request.raw[member.at : member.end] for name in (XARGS,) if (member := request.members.get(name))]
    salted = [orjson.dumps({"cache_salt": salt})[1:-1]] if salt else []
    return begun[:-1] + b"".join(b"," + each for each in (*found, *salted)) + b"}"


def written(plan: Plan, salt: str = "", sink: tuple[bytes, int] | None = None, session: str = "") -> Prompt:
    """The plan carried out. `salt` is for the worker's prefix cache ("": none of ours), `sink` for its KV policy: a
    head and its tokens; `session` is what the worker is to keep the session's KV under ("": it is not to)."""
    ours = {"cache_salt": salt, "session_id": session}
    add = {name: value for name, value in ours.items() if value and name not in plan.request.fields}
    xargs = {"kv_sink": sink[1]} if sink else {}
    edits = Edits(insert=plan.inserts, drop=plan.drop, without=STRIPPED, add=add, xargs=xargs)
    body = splice(plan.request, edits)
    changed = plan.inserts or add or xargs
    plain = splice(plan.request, Edits(drop=plan.drop, without=STRIPPED)) if changed else None
    return Prompt(body, plain, plan.fitted, plan.told, sink[0] if sink else None)


def _stays(question: Question, known: Known) -> dict[int, Placed]:
    """Message index → what happened there before, in the prompt's order, so far as it stays."""
    past, place = question.past, known.place
    spots = [*zip(range(len(past.targets)), past.targets, place.keys, strict=True)]
    spots += [(turn, index, key) for (turn, index, _), key in zip(past.asides, place.asides, strict=True)]
    if place.fresh:
        spots.remove((len(past.targets) - 1, past.targets[-1], place.keys[-1]))
    kept = sorted((index, key) for turn, index, key in spots if turn >= known.first_kept and key in place.known)
    return {index: place.known[key] for index, key in kept}


def stripped(request: ChatRequest) -> bytes:
    """The client's own bytes, less what was meant for us."""
    return splice(request, Edits(without=STRIPPED))
