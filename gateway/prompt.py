"""The prompt that the worker gets: what was recalled and what was said, as edits to the client's own bytes. Pure."""

from dataclasses import dataclass

from gateway.memory import compose
from gateway.memory.compose import Fitted
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
    request, past, place = question.request, question.past, known.place
    last = len(place.keys) - 1
    dropped = frozenset(
        i for span in past.spans[: known.first_kept] for i in span if request.messages[i].role not in NOT_TURNS
    )
    texts = compose.replayed(place.keys, place.known) if question.mode.reads else {}
    if place.fresh:
        texts.pop(last, None)
    texts = {turn: text for turn, text in texts.items() if turn >= known.first_kept}
    rendered = frozenset(id for turn in texts for id in place.known[place.keys[turn]].memories)
    standing = "\n".join(message.text for i, message in enumerate(request.messages) if i not in dropped)
    fitted = compose.fit(known.recall.hits, known.pinned, question.budget, standing, rendered)
    if place.fresh and fitted.text:
        texts[last] = fitted.text
    inserts = {past.targets[turn]: text for turn, text in texts.items()}
    add = {"cache_salt": salt} if salt and "cache_salt" not in request.fields else {}
    drop = tuple(sorted(dropped))
    body = splice(request, Edits(insert=inserts, drop=drop, without=STRIPPED, add=add))
    plain = splice(request, Edits(drop=drop, without=STRIPPED)) if inserts or add else None
    return Prompt(body, plain, fitted, "\n".join(texts.values()))


def stripped(request: ChatRequest) -> bytes:
    """The client's own bytes, less what was meant for us."""
    return splice(request, Edits(without=STRIPPED))
