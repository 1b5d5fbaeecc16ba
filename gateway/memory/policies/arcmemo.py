"""ArcMemo: concepts with parameters, kept by their names, that solved problems add to and later ones use.

The idea (arXiv 2509.04439, its program-synthesis form): a concept is a structure or a routine with a description,
parameters, cues to know it by, and ways to do it. A model abstracts solutions with the concepts at hand before it, so
that they are used again; the same name is the same concept, and what two say of it is merged by rule. One that was used
less than twice is shown as its name only. docs/policies/arcmemo.md tells what differs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.memory.policies.asking import known, picked, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Memory, Turn
from gateway.memory.reflections import Draft, Forget, Insert, Operation
from gateway.memory.revise import plain

_ASK = """What could be used again of how these problems were solved? Put every solution into steps first, then name the
concepts in it. `name` is short, `kind` is structure (what a thing is made of) or routine (what is done),
`description` says in one sentence what it is, `parameters` are what varies in it, `cues` tell by what one knows that it
fits, `implementation` in a few words how it is done, `turns` the numbers of the turns that use it. Where a concept that
is known fits, give it under its own name, with what is new about it only. None for talk that solves nothing."""
_MOST, _LISTED, _EACH = 10, 40, 8
_NAME, _SENTENCE, _ITEM = 60, 300, 120
_PARAMETERS, _CUES, _DONE = "Parameters", "Cues", "Implementation"
_SPACES, _ROUND = re.compile(r"\s+"), re.compile(r"[()]")

Sort = Literal["structure", "routine"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What varies in a concept."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Concept:
    """What a model is asked for, and what a memory of kind "concept" says. `turns` are numbers of the prompt's."""

    name: str
    kind: Sort
    description: str
    parameters: tuple[Parameter, ...]
    cues: tuple[str, ...]
    implementation: tuple[str, ...]
    turns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Concepts:
    """All of them."""

    concepts: tuple[Concept, ...]


@dataclass(frozen=True, slots=True)
class ArcMemo(Verbatim):
    """Concepts by their names, merged by rule, and told once they have proved themselves.

    That is once `whole` turns used one (2 in the paper); `shown` are told at the most, and none that is less like the
    question than `alike` (a cosine).
    """

    name: str = "arcmemo"
    thinks: bool = True
    whole: int = 2
    shown: int = 5
    alike: float = 0.35

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """What these solutions add to the concepts. What was told to have failed adds nothing, and takes away what
        rests on it alone."""
        failed = {turn.id for turn in turns if turn.feedback and turn.feedback.outcome == "failure"}
        solved = [turn for turn in turns if turn.id not in failed and turn.reply_text]
        own = await study.own("concept")
        there = [memory for memory in own if not failed.issuperset(memory.sources)]
        gone = [Forget(memory.id) for memory in own if failed.issuperset(memory.sources)]
        if not solved:
            return gone
        often = sorted(there, key=lambda memory: (-len(memory.sources), memory.id))[:_LISTED]
        prompt = f"{_ASK}\n\n{known(often, 'Concepts that are known:')}\n{told(solved)}"
        answer = await study.ask(prompt, Concepts)
        found = {memory.thought.title: read(memory) for memory in there if memory.thought}
        return [*gone, *self._kept(answer.concepts[:_MOST], found, solved)]

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """Concepts like the question that have proved themselves, then what was said, as verbatim, then mere names."""
        concepts = [c for c in candidates if c.memory.kind == "concept"]
        hits = [Hit(c.memory, round(c.signals.get("dense_turn", 0.0), 4), c.signals) for c in concepts]
        hits.sort(key=lambda hit: (-hit.score, hit.memory.id))
        fit = [hit for hit in hits if hit.score >= self.alike]
        shown, more = fit[: self.shown], fit[self.shown :]
        proved = [hit for hit in shown if len(hit.memory.sources) >= self.whole]
        names = [replace(hit, memory=_bare(hit.memory)) for hit in shown if len(hit.memory.sources) < self.whole]
        said = Verbatim.rank(self, question, [c for c in candidates if c.memory.kind != "concept"], now)
        rest = [replace(hit, dropped="of another problem") for hit in hits if hit.score < self.alike]
        return [*proved, *said, *names, *(replace(hit, dropped="enough shown") for hit in more), *rest]

    def _kept(self, concepts: Iterable[Concept], found: dict[str, Concept], solved: Sequence[Turn]) -> list[Insert]:
        """One draft a name, merged with what is known under it, and with what another one of these says."""
        names = {plain(name): name for name in found}
        used: dict[str, list[Turn]] = {}
        for concept in map(tidy, concepts):
            if concept.name:
                name = names.setdefault(plain(concept.name), concept.name)
                found[name] = merged(found[name], concept) if name in found else replace(concept, turns=())
                # Where it names no turn it counts as used once.
                used.setdefault(name, []).extend(picked(solved, concept.turns) or solved[-1:])
        return [
            Insert(Draft("concept", written(found[name]), tuple(t.id for t in by), key=plain(name), title=name))
            for name, by in used.items()
        ]


def merged(old: Concept, new: Concept) -> Concept:
    """What both say, of one name (the paper's rule): the first description that there is, parameters by their names,
    cues and ways to do it without doubles, of many the first."""
    described: dict[str, Parameter] = {}
    for one in (*old.parameters, *new.parameters):
        there = described.setdefault(one.name, one)
        described[one.name] = there if there.description else one
    return Concept(
        old.name,
        old.kind,
        old.description or new.description,
        tuple(described.values())[:_EACH],
        tuple(dict.fromkeys((*old.cues, *new.cues)))[:_EACH],
        tuple(dict.fromkeys((*old.implementation, *new.implementation)))[:_EACH],
    )


def tidy(concept: Concept) -> Concept:
    """The same, so that it can be written and read again: one line each, of bounded length, without our own signs."""
    parameters = (
        Parameter(_line(_ROUND.sub("", p.name), _NAME), _line(p.description, _ITEM)) for p in concept.parameters
    )
    return Concept(
        _line(concept.name, _NAME),
        concept.kind,
        _line(concept.description, _SENTENCE),
        tuple({one.name: one for one in parameters if one.name}.values())[:_EACH],
        _lines(concept.cues),
        _lines(concept.implementation),
        concept.turns,
    )


def written(concept: Concept) -> str:
    """As a memory's text: a line for each part. `read` is its inverse for what is tidy."""
    parameters = [f"{p.name} ({p.description})" if p.description else p.name for p in concept.parameters]
    parts = ((_PARAMETERS, parameters), (_CUES, concept.cues), (_DONE, concept.implementation))
    lines = [f"{name}: {'; '.join(items)}" for name, items in parts if items]
    return "\n".join([f"{concept.kind}: {concept.description}".strip(), *lines])


def read(memory: Memory) -> Concept:
    """The concept that a memory tells; of a text that an operator changed what can be read of it."""
    first, *lines = memory.text.split("\n")
    kind, _, description = first.partition(":")
    parts = {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}
    items = {name: tuple(filter(None, parts.get(name, "").split("; "))) for name in (_PARAMETERS, _CUES, _DONE)}
    parameters = (item.removesuffix(")").partition(" (") for item in items[_PARAMETERS])
    return Concept(
        memory.thought.title if memory.thought else "",
        "structure" if kind == "structure" else "routine",
        description.strip(),
        tuple(Parameter(name, told) for name, _, told in parameters),
        items[_CUES],
        items[_DONE],
    )


def _bare(memory: Memory) -> Memory:
    """Its name only."""
    thought = memory.thought
    return replace(memory, text=thought.title, thought=replace(thought, title="")) if thought else memory


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (_line(text, _ITEM) for text in texts))))[:_EACH]


def _line(text: str, most: int) -> str:
    return _SPACES.sub(" ", text[: 4 * most].replace(";", ",")).strip()[:most].strip()
