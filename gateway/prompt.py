"""The prompt that the worker gets: what was recalled and what was said, as edits to the client's own bytes. Pure."""

from dataclasses import dataclass

from gateway.memory import compose
from gateway.memory.compose import Fitted
from gateway.memory.records import Placed
from gateway.question import NOT_TURNS, Question
from gateway.remember import Known
from gateway.wire.chat import ChatRequest, Edits, splice

STRIPPED = ("memory",)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The rewritten body, and the one to send should the worker refuse it (None if it is the same).

    `fitted` is what is new at the last turn; `text` and `memories` are all that was injected, older turns included.
    """

    body: bytes
    plain: bytes | None
    fitted: Fitted
    text: str


def build(question: Question, known: Known, salt: str) -> Prompt:
    """Replay what was injected before, add what was recalled now, leave out the turns before `known.first_kept`."""
    request, past = question.request, question.past
    dropped = frozenset(
        i for span in past.spans[: known.first_kept] for i in span if request.messages[i].role not in NOT_TURNS
    )
    replays = _replays(question, known)
    rendered = frozenset(id for placed in replays.values() for id in placed.memories)
    standing = "\n".join(message.text for i, message in enumerate(request.messages) if i not in dropped)
    fitted = compose.fit(known.recall.hits, known.pinned or (), known.budget, standing, rendered)
    target = past.targets[-1]
    if request.messages[target].head is None:
        fitted = fitted.nothing()
    inserts = {index: placed.text for index, placed in replays.items()}
    if fitted.text:
        inserts[target] = compose.extended(inserts.get(target, ""), fitted.text)
    add = {"cache_salt": salt} if salt and "cache_salt" not in request.fields else {}
    drop = tuple(sorted(dropped))
    body = splice(request, Edits(insert=inserts, drop=drop, without=STRIPPED, add=add))
    plain = splice(request, Edits(drop=drop, without=STRIPPED)) if inserts or add else None
    return Prompt(body, plain, fitted, "\n".join(inserts.values()))


def _replays(question: Question, known: Known) -> dict[int, Placed]:
    """Message index → what was injected there before, in the prompt's order, so far as it stays."""
    past, place = question.past, known.place
    if not question.mode.reads:
        return {}
    spots = [*zip(range(len(past.targets)), past.targets, place.keys, strict=True)]
    spots += [(turn, index, key) for (turn, index, _), key in zip(past.asides, place.asides, strict=True)]
    if place.fresh:
        spots.remove((len(past.targets) - 1, past.targets[-1], place.keys[-1]))
    kept = sorted((index, key) for turn, index, key in spots if turn >= known.first_kept and key in place.known)
    return {index: place.known[key] for index, key in kept if place.known[key].text}


def stripped(request: ChatRequest) -> bytes:
    """The client's own bytes, less what was meant for us."""
    return splice(request, Edits(without=STRIPPED))
