"""`python -m tests.bench.languages`: how well facts told in other languages are found again. Reports, never asserts.

Goes through the gateway's own recall on embedded stores. The sentences beside it are the same in every language.
"""

import argparse
import asyncio
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gateway.evals.recall.embedded import Embedded
from gateway.evals.recall.sample import NOBODY, Question, Sample, turn_id
from gateway.memory.records import Hit, Turn
from gateway.settings import Settings
from gateway.wiring import open_services

SENTENCES = Path(__file__).parent / "sentences"
_YARDSTICK = "en"
_DEALS = 3  # orders in which everything is told: neighbours matter, so a single one says little
_SESSION = 6  # turns
_BASE, _PACE = 1_700_000_000.0, 3600.0
_DEEP = 5
_HEAD = (
    "language",
    "R@1",
    "R@5",
    "enters the prompt",
    "first but gated",
    "silent",
    "let in",
    "R@1 from English",
    "R@5 from English",
)
_GATED = "nothing here helps"


@dataclass(frozen=True, slots=True)
class Sentences:
    """`pairs` are facts with a question about each, `talk` is said besides, `general` no memory can help with."""

    name: str
    pairs: tuple[tuple[str, str], ...]
    general: tuple[str, ...]
    talk: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """Per question: the fact's rank from 1 (0: not found), whether it enters the prompt, whether the gate shut it out
    though it ranked first; per general question how many memories are let in; ranks for questions put in English."""

    ranks: list[int] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    gated: list[bool] = field(default_factory=list)
    let_in: list[int] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.languages", description=__doc__)
    parser.add_argument("--only", default="", metavar="DE,FR", help="these codes alone")
    only = {code.lower() for code in parser.parse_args().only.split(",") if code}
    known = read()
    if unknown := only - set(known):
        parser.error(f"no sentences in: {', '.join(sorted(unknown))}")
    found = asyncio.run(_measure(known, only or set(known)))
    print(table(known, found))
    return 0


def read() -> dict[str, Sentences]:
    """By language code, the yardstick first."""
    files = sorted(SENTENCES.glob("*.toml"), key=lambda file: (file.stem != _YARDSTICK, file.stem))
    return {file.stem: msgspec.convert(tomllib.loads(file.read_text()), Sentences) for file in files}


def table(known: Mapping[str, Sentences], found: Mapping[str, Tally]) -> str:
    """Markdown: whole percents, and how many memories are let in on a question that they cannot help."""
    lines = [_HEAD, ("---", *["---:"] * (len(_HEAD) - 1))]
    lines += [(known[code].name, *_cells(tally)) for code, tally in found.items()]
    others = [tally for code, tally in found.items() if code != _YARDSTICK]
    if others:
        lines.append(("all but English", *_cells(_sum(others))))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def _measure(known: Mapping[str, Sentences], codes: set[str]) -> dict[str, Tally]:
    found = {code: Tally() for code in known if code in codes}

    def opener(data: Path) -> Any:
        settings: dict[str, Any] = {"data": data, "upstream": "http://127.0.0.1:9/v1"}
        return open_services(Settings(**settings))

    async with Embedded.open(opener) as subject:
        for code, tally in found.items():
            _say(f"{known[code].name} …")
            for deal in range(_DEALS):
                await _examine(subject, known[code], known[_YARDSTICK], deal, tally)
    _say("")
    return found


async def _examine(subject: Embedded, own: Sentences, yardstick: Sentences, deal: int, tally: Tally) -> None:
    sample = told(own, deal)
    await subject.tell(sample)
    for question, (_, english) in zip(sample.questions, yardstick.pairs, strict=True):
        gold = question.gold[0]
        hits = (await subject.ask(question.text, question.at)).hits
        tally.ranks.append(_rank(hits, gold))
        tally.shown.append(any(hit.memory.id == gold and not hit.dropped for hit in hits))
        tally.gated.append(_rank(hits, gold) == 1 and hits[0].dropped == _GATED)
        tally.foreign.append(_rank((await subject.ask(english, question.at)).hits, gold))
    for text in own.general:
        hits = (await subject.ask(text, sample.questions[0].at)).hits
        tally.let_in.append(sum(not hit.dropped for hit in hits))
    await subject.forget()


def told(own: Sentences, deal: int) -> Sample:
    """Facts and talk in the order of the deal, in sessions of a few turns; the questions a day after the last."""
    said = [*own.talk, *(fact for fact, _ in own.pairs)]
    random.Random(deal).shuffle(said)  # the deals are alike in all languages
    ids = {text: turn_id(own.name, str(place)) for place, text in enumerate(said)}
    turns = [
        Turn(ids[text], NOBODY, f"session-{i // _SESSION}", ids[text], _BASE + i * _PACE, text, "", seq=i + 1)
        for i, text in enumerate(said)
    ]
    asked_at = turns[-1].at + 24 * _PACE
    questions = [Question(question, own.name, (ids[fact],), (), asked_at) for fact, question in own.pairs]
    return Sample(f"{own.name} {deal}", tuple(turns), tuple(questions), {})


def _rank(hits: Sequence[Hit], gold: str) -> int:
    return next((place for place, hit in enumerate(hits, 1) if hit.memory.id == gold), 0)


def _sum(tallies: Sequence[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.ranks += tally.ranks
        whole.shown += tally.shown
        whole.gated += tally.gated
        whole.let_in += tally.let_in
        whole.foreign += tally.foreign
    return whole


def _cells(tally: Tally) -> Iterator[str]:
    yield _share([rank == 1 for rank in tally.ranks])
    yield _share([0 < rank <= _DEEP for rank in tally.ranks])
    yield _share(tally.shown)
    yield _share(tally.gated)
    yield _share([count == 0 for count in tally.let_in])
    yield f"{sum(tally.let_in) / len(tally.let_in):.0f}"
    yield _share([rank == 1 for rank in tally.foreign])
    yield _share([0 < rank <= _DEEP for rank in tally.foreign])


def _share(of: Sequence[bool]) -> str:
    return f"{sum(of) / len(of):.0%}"


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
