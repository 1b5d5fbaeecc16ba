"""How many answers were right, how sure that is, and what they took; as JSON and as Markdown. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson

from gateway import __version__
from gateway.evals.qa.answers import Answered
from gateway.evals.recall.bootstrap import Estimate, estimates
from gateway.evals.recall.measures import Measure
from gateway.evals.recall.report import table

_MILLION = 1_000_000
_TOLD = ("policy", "embedder", "memory_tokens", "model", "judge", "turns")


@dataclass(frozen=True, slots=True)
class Report:
    """`prices` are of a million tokens of prompt and of answer; without any there is no cost."""

    file: str
    configuration: Mapping[str, Any]
    answers: Sequence[Answered]
    prices: tuple[float, float] | None

    @property
    def cost(self) -> float | None:
        """Of the answers; what a judge costs is no cost of memory."""
        if self.prices is None:
            return None
        into, out = self.prices
        return sum(one.prompt_tokens * into + one.answer_tokens * out for one in self.answers) / _MILLION


def as_json(report: Report) -> bytes:
    """All figures; the answers have a file of their own."""
    told = {
        "mneme": __version__,
        "file": report.file,
        "configuration": report.configuration,
        "kinds": {kind: _figures(answers) for kind, answers in _kinds(report.answers).items()},
        "tokens": _tokens(report.answers),
        "cost": report.cost,
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n"


def as_markdown(report: Report) -> str:
    """A line per kind of question and one for all, then what it took."""
    head = ("kind", "questions", "judged", "accuracy", "95 % interval", "token F1", "95 % interval")
    rows = []
    for kind, answers in _kinds(report.answers).items():
        found, judged = _estimates(answers), sum(one.correct is not None for one in answers)
        cells = [cell for name in ("accuracy", "token F1") for cell in _told(found[name])]
        rows.append((kind, str(len(answers)), str(judged), *cells))
    took = _tokens(report.answers)
    asked = max(len(report.answers), 1)
    cost = "" if report.cost is None else f" They cost {report.cost:.4f}."
    return "\n".join(
        [
            f"# Answers on {report.file}",
            "",
            *(f"{name}: {report.configuration[name]}" for name in _TOLD),
            "",
            *table(head, rows),
            "",
            f"Tokens: {took['prompt']} of prompts, of them {took['injected']} from memory "
            f"({took['injected'] / asked:.0f} a question); {took['answer']} of answers; {took['judge']} of the judge."
            f"{cost}",
        ]
    )


def _kinds(answers: Sequence[Answered]) -> dict[str, Sequence[Answered]]:
    kinds = sorted({one.category for one in answers})
    return {**{kind: [one for one in answers if one.category == kind] for kind in kinds}, "all": answers}


def _figures(answers: Sequence[Answered]) -> dict[str, Any]:
    found = {name: asdict(estimate) for name, estimate in _estimates(answers).items()}
    return {"questions": len(answers), "judged": sum(one.correct is not None for one in answers), **found}


def _estimates(answers: Sequence[Answered]) -> dict[str, Estimate]:
    found = [
        _mean("accuracy", [one.correct for one in answers]),
        _mean("token F1", [one.f1 for one in answers]),
    ]
    return estimates(found, [one.conversation for one in answers])


def _mean(name: str, values: Sequence[float | None]) -> Measure:
    """Of those that there are."""
    above = np.array([[float(value or 0) for value in values]])
    return Measure(name, above, np.array([[float(value is not None) for value in values]]))


def _tokens(answers: Sequence[Answered]) -> dict[str, int]:
    return {
        "prompt": sum(one.prompt_tokens for one in answers),
        "injected": sum(one.injected for one in answers),
        "answer": sum(one.answer_tokens for one in answers),
        "judge": sum(one.judge_tokens for one in answers),
    }


def _told(found: Estimate) -> tuple[str, str]:
    if np.isnan(found.value):
        return "–", "–"
    return f"{found.value:.3f}", f"{found.low:.3f} – {found.high:.3f}"
