"""Fitting the ranker's weights to conversations, from reading to figures. Never changes the weights in use."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from gateway.errors import SettingsRefused
from gateway.evals.fit import report
from gateway.evals.fit.examples import PARTS, Example, collect
from gateway.evals.fit.weigh import fitted, folds, marked, ordered
from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.embedded import Embedded, Opener
from gateway.evals.recall.marks import Marks
from gateway.evals.recall.measures import Quiet
from gateway.evals.recall.progress import bar
from gateway.evals.recall.readers import load
from gateway.evals.recall.sample import chosen
from gateway.memory.policies.ranker import Weights
from gateway.memory.policies.ranker.weights import Order
from gateway.memory.policies.verbatim import Verbatim

# Columns that belong together, besides each one alone.
_GROUPS = {"times named": ("on_day", "in_period", "of_day", "of_period")}
# Thresholds of the ranker that are chosen by hand, from what each of them would inject and find.
_THRESHOLDS = {
    "gate": (0.08, 0.2),
    "cut": (0.0025, 0.004),
    "doubt": (0.0, 0.3, 0.5),
}
_FEWEST = 2  # conversations: one is checked by the others


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `questions` goes with an export; `conversations` () is all of the half `split`."""

    file: Path
    json: Path
    questions: Path | None = None
    conversations: tuple[str, ...] = ()
    split: str = "dev"
    tune_on_held_out: bool = False
    ablate: bool = False
    trade: bool = False


async def run(plan: Plan, opener: Opener, say: Callable[[str], None]) -> None:
    """Do it, write the file, `say` the tables. SettingsRefused for held-out conversations without the flag."""
    if plan.split != "dev" and not plan.tune_on_held_out:
        raise SettingsRefused(
            f"--split {plan.split} would tune on held-out conversations, and nothing would be left to tell how good "
            "the weights are. Take --split dev, or say --tune-on-held-out."
        )
    examples = await _examples(plan, opener)
    told = await asyncio.to_thread(_figures, plan, examples)
    await asyncio.to_thread(plan.json.write_bytes, told.json)
    say(told.markdown)


async def _examples(plan: Plan, opener: Opener) -> list[Example]:
    source = await asyncio.to_thread(load, plan.file, plan.questions)
    samples = chosen(source.samples, plan.split, plan.conversations)
    picked = tuple(sample for sample in samples if any(question.gold for question in sample.questions))
    if len(picked) < _FEWEST:
        raise DatasetRefused(
            f"{plan.file}: at least {_FEWEST} conversations that answer questions are needed, here are {len(picked)}"
        )
    examples: list[Example] = []
    async with Embedded.open(opener) as subject:
        policy = subject.policy
        if not isinstance(policy, Verbatim):
            raise SettingsRefused("Only the policy verbatim has weights to fit: set MNEME_POLICY=verbatim.")
        with bar(len(picked) * (1 + len(PARTS)), "fit") as step:
            for sample in picked:
                examples += await collect(subject, policy, sample, picked, step)
    return examples


def _figures(plan: Plan, examples: Sequence[Example]) -> report.Written:
    checked = [(fitted(others), own) for others, own in folds(examples)]
    marks, quiet = _marked(checked, {})
    trades = [dict(zip(_THRESHOLDS, values, strict=True)) for values in product(*_THRESHOLDS.values())]
    without = {name: (name,) for name in Order._fields} | _GROUPS if plan.ablate else {}
    return report.render(
        file=plan.file.name,
        weights=fitted(examples),
        marks=marks,
        quiet=quiet,
        without={name: _without(examples, columns) for name, columns in without.items()},
        trades=[(values, *_marked(checked, values)) for values in trades] if plan.trade else [],
    )


def _marked(
    checked: Sequence[tuple[Weights, list[Example]]], thresholds: Mapping[str, float]
) -> tuple[list[Marks], list[Quiet]]:
    found = [marked(own, _under(weights, thresholds)) for weights, own in checked]
    return [one for marks, _ in found for one in marks], [one for _, quiet in found for one in quiet]


def _under(weights: Weights, thresholds: Mapping[str, float]) -> Weights:
    return replace(
        weights,
        gate=thresholds.get("gate", weights.gate),
        cut=thresholds.get("cut", weights.cut),
        doubt=thresholds.get("doubt", weights.doubt),
    )


def _without(examples: Sequence[Example], columns: Sequence[str]) -> list[Marks]:
    """Marks of the order alone, fitted without these columns to the other conversations."""
    marks: list[Marks] = []
    for others, own in folds(examples):
        marks += marked(
            [e for e in own if e.kind == "own"], replace(Weights(), order=ordered(others, frozenset(columns)))
        )[0]
    return marks
