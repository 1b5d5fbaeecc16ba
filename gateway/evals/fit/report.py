"""What fitting found: the weights, what they find on conversations that they have not seen, what each column buys."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from gateway.evals.fit.weigh import shown
from gateway.evals.recall.bootstrap import estimates
from gateway.evals.recall.marks import Marks
from gateway.evals.recall.measures import Quiet, measures, silence
from gateway.evals.recall.report import table
from gateway.memory.policies.ranker import Weights

Trade = tuple[dict[str, float], list[Marks], list[Quiet]]
_PAID = ("evidence in", "tokens of")
_ORDER = ("R@10 mean", "R@10 macro", "NDCG@10 macro", "session Hit@1", "session R@5", "session R@10")


@dataclass(frozen=True, slots=True)
class Written:
    """The same, for machines and for people."""

    json: bytes
    markdown: str


def render(
    *,
    file: str,
    weights: Weights,
    marks: Sequence[Marks],
    quiet: Sequence[Quiet],
    without: Mapping[str, list[Marks]],
    trades: Sequence[Trade],
) -> Written:
    """`marks` and `quiet` are of every conversation under the weights of the others; `without` has the marks when a
    column is left out, `trades` both under other thresholds."""
    found = estimates(measures(marks), [m.conversation for m in marks])
    found |= estimates(silence(quiet), [q.conversation for q in quiet])
    ablation = {name: _values(some) for name, some in without.items()}
    steps = {"order": shown(weights.order), "gate": shown(weights.gate_by), "cut": shown(weights.cut_by)}
    told = {
        "file": file,
        "questions": len(marks),
        "cross_validated": {name: asdict(one) for name, one in found.items()},
        "weights": steps,
        "without": ablation,
        "trades": [thresholds | _paid(some, silent) for thresholds, some, silent in trades],
    }
    lines = [
        f"# Weights fitted to {file}",
        "",
        f"{len(marks)} questions. Each conversation under the weights of the others:",
        "",
        *table(
            ("measure", "value", "95 % interval"),
            [(n, _short(e.value), f"{_short(e.low)} – {_short(e.high)}") for n, e in found.items()],
        ),
        *_ablation(ablation, _values(marks)),
        *_traded(trades),
        "",
        "Fitted to all of them:",
        "",
        *(f"- {step}: " + ", ".join(f"{n}={value:g}" for n, value in some.items()) for step, some in steps.items()),
    ]
    return Written(orjson.dumps(told, option=orjson.OPT_INDENT_2), "\n".join(lines) + "\n")


def _values(marks: Sequence[Marks]) -> dict[str, float]:
    return {measure.name: measure.value() for measure in measures(marks) if measure.name in _ORDER}


def _ablation(ablation: Mapping[str, Mapping[str, float]], whole: Mapping[str, float]) -> list[str]:
    if not ablation:
        return []
    rows = [("all", *(f"{whole[name]:.3f}" for name in _ORDER))]
    rows += [(n, *(f"{some[name] - whole[name]:+.3f}" for name in _ORDER)) for n, some in ablation.items()]
    return ["", "Without a column of the order, fitted again:", "", *table(("without", *_ORDER), rows)]


def _paid(marks: Sequence[Marks], quiet: Sequence[Quiet]) -> dict[str, float]:
    found = {m.name: m.value() for m in (*measures(marks), *silence(quiet))}
    return {name: value for name, value in found.items() if name.startswith(_PAID) or name.endswith("tokens, mean")}


def _traded(trades: Sequence[Trade]) -> list[str]:
    if not trades:
        return []
    rows = [
        [f"{v:g}" for v in thresholds.values()] + [_short(v) for v in _paid(some, silent).values()]
        for thresholds, some, silent in trades
    ]
    thresholds, some, silent = trades[0]
    return ["", "Under other thresholds:", "", *table([*thresholds, *_paid(some, silent)], rows)]


def _short(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
