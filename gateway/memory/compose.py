"""Fit memories and history into a budget. Pure: from what was found and what stands in the prompt to a plan.

Rule (promise 2): the plan only ever appends. Earlier turns get exactly the text they got before; only the last turn
may get something new; history leaves in large steps, so that the prompt's head stays the same for many turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.memory import block
from gateway.memory.budget import tokens
from gateway.memory.records import Hit, Memory, Placed

SEEN = "seen"
"""The tag of a caption that tells more than its turn does: what a model saw, or several captions together."""
_COMPACT_ABOVE = 0.8
_COMPACT_TO = 0.4
_FILL_TO = 0.9


@dataclass(frozen=True, slots=True)
class Fitted:
    """What goes in at the last turn: the text, what it costs, the memories it renders, and every hit's fate."""

    text: str
    tokens: int
    memories: tuple[str, ...]
    hits: tuple[Hit, ...]

    def nothing(self) -> "Fitted":
        """The same verdicts, but nothing of it entered the prompt."""
        return Fitted("", 0, (), self.hits)


def fit(
    hits: Sequence[Hit],
    pinned: Sequence[Memory],
    budget: int,
    standing: str,
    placed: frozenset[str],
    said: frozenset[str] = frozenset(),
) -> Fitted:
    """Take pinned memories, then hits best first, until the budget (estimated tokens) is spent.

    `standing` is the text that the prompt already holds, `placed` the ids that earlier turns of it already render,
    `said` those of its own turns: what was redacted in them is not to be found by its words. A hit that was taken back
    is marked if what takes it back is in the prompt too: a mark alone would only confuse. What does not fit goes in
    fewer words, where somebody found them. One fact is one line: a turn, or what was made of it. What is pinned stands
    in front, and never with a mark: the block's beginning is the same whatever was recalled.
    """
    lines = _Lines(placed | said)
    left = budget - tokens(block.render([_EMPTY]))
    head, left = _head(pinned, placed, left)
    for memory in head:
        lines.add(memory)
    # What the prompt holds, and since when where this block tells it: a mark in it must not outlive what it tells of.
    there = {**dict.fromkeys(placed), **{memory.id: memory.at for memory in head}}
    taken: list[Memory] = []
    judged: list[Hit] = []
    remarks: dict[str, str] = {}
    for hit in hits:
        again = "" if hit.remark else _standing(hit.memory, there, standing, said) or lines.twice(hit.memory)
        if again and not hit.dropped:
            hit = replace(hit, dropped=again)
            there.setdefault(hit.memory.id)
        if hit.dropped:
            judged.append(hit)
            continue
        taken_back = block.earlier(there[hit.superseded]) if hit.superseded in there else ""
        remark = "; ".join(filter(None, (hit.remark, taken_back, block.QUOTED if hit.suspect else "")))
        memory, cost = _fitting(hit.memory, remark, left)
        if cost > left:
            judged.append(replace(hit, dropped="over budget"))
            continue
        judged.append(hit)
        taken.append(memory)
        lines.add(memory)
        there[hit.memory.id] = hit.memory.at
        remarks[hit.memory.id] = remark
        left -= cost
    text = block.render(taken, remarks, head)
    return Fitted(text, tokens(text), tuple(m.id for m in (*head, *taken)), tuple(judged))


def _head(pinned: Sequence[Memory], placed: frozenset[str], left: int) -> tuple[list[Memory], int]:
    """The pinned memories that are not there yet and fit into `left` tokens, each once, and what is left after them."""
    head: dict[str, Memory] = {}
    for memory in pinned:
        cost = _cost(memory)
        if memory.id not in placed and memory.id not in head and cost <= left:
            head[memory.id] = memory
            left -= cost
    return [*head.values()], left


_EMPTY = Memory(id="", scope=None, session="", text="")  # type: ignore[arg-type]  # only its line's length is asked
_SHORTEST = tokens(block.line(_EMPTY)) + 1


class _Lines:
    """Which turns stand in the prompt word for word, and which as what was made of one of them alone."""

    def __init__(self, placed: frozenset[str]) -> None:
        self._said = set(placed)  # a turn's memory has the turn's id
        self._made: set[str] = set()

    def add(self, memory: Memory) -> None:
        if memory.thought is None:
            self._said.update(memory.sources)
        elif len(memory.sources) == 1 and not _tells_more(memory):
            self._made.update(memory.sources)

    def twice(self, memory: Memory) -> str:
        """Why this line would tell something for the second time, "" if it would not."""
        if _tells_more(memory):
            return ""
        if memory.thought is not None and memory.sources and self._said.issuperset(memory.sources):
            return "its evidence is in the prompt"
        if memory.thought is not None and memory.kind != "caption":
            return ""
        return "what was made of it is in the prompt" if self._made.intersection(memory.sources) else ""


def _tells_more(memory: Memory) -> bool:
    """Whether it is what somebody saw in a picture: the words of its turn do not hold that."""
    return memory.kind == "caption" and memory.thought is not None and SEEN in memory.thought.tags


def _fitting(memory: Memory, remark: str, left: int) -> tuple[Memory, int]:
    """The memory as it is told where `left` tokens are left, and its cost, which may be too much still."""
    cost = _cost(memory, remark) if left >= _SHORTEST else _SHORTEST
    if cost <= left or not memory.gist or left < _SHORTEST:
        return memory, cost
    short = replace(memory, text=memory.gist, reply="")
    return short, _cost(short, remark)


def _standing(memory: Memory, there: Mapping[str, float | None], standing: str, said: frozenset[str]) -> str:
    if memory.id in there:
        return "already recalled in this conversation"
    if memory.id in said or (memory.text and memory.text in standing):
        return "already in the prompt"
    return ""


def _cost(memory: Memory, remark: str = "") -> int:
    return tokens(block.line(memory, remark) + "\n")


def first_kept(head: int, sizes: Sequence[int], limit: int, kept_before: int) -> int:
    """Index of the first turn that stays, given each turn's size and the head's, in estimated tokens.

    `limit` is the model's window (0: unknown, nothing is ever dropped); `kept_before` is the last step's answer, so
    that nothing moves until the history outgrows the window again. The last turn always stays.
    """
    if not limit or spare(head, sizes[kept_before:], limit) >= 0:
        return kept_before
    room = limit * _COMPACT_TO - head
    first = len(sizes)
    while first > 0 and sizes[first - 1] <= room:
        first -= 1
        room -= sizes[first]
    return max(min(first, len(sizes) - 1), kept_before)


def spare(head: int, sizes: Sequence[int], limit: int) -> float:
    """Estimated tokens that these turns may still grow by before turns have to leave."""
    return limit * _COMPACT_ABOVE - head - sum(sizes)


def room(head: int, sizes: Sequence[int], limit: int) -> int:
    """Estimated tokens that may still come in when these turns stay; the rest is left to the estimate's error."""
    return max(int(limit * _FILL_TO) - head - sum(sizes), 0)


def extended(before: str, more: str) -> str:
    """The text of a turn that gets more of it; either may be empty."""
    return "\n\n".join(text for text in (before, more) if text)


def replayed(chains: Sequence[str], known: Mapping[str, Placed]) -> dict[int, str]:
    """Turn index → the text that was injected there before."""
    return {i: known[chain].text for i, chain in enumerate(chains) if chain in known and known[chain].text}
