"""What an evaluation found, as JSON to keep and as Markdown to read. Pure; measures nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from gateway import __version__
from gateway.evals.recall.bootstrap import Difference, Estimate, differences, estimates
from gateway.evals.recall.marks import BUDGETS, Marks
from gateway.evals.recall.measures import measures, silence
from gateway.evals.recall.parts import Part
from gateway.evals.tally import nearest_rank

_BRIEF = (
    "R@5 mean",
    "R@10 micro",
    "R@10 mean",
    "NDCG@10 mean",
    "session Hit@1",
    f"evidence in {BUDGETS[-1]} tokens, mean",
)


@dataclass(frozen=True, slots=True)
class Report:
    """`parts` in the file's order; `other` has another report's questions to compare with, or None."""

    file: str
    split: str
    configuration: Mapping[str, Any]
    parts: Sequence[Part]
    peak_rss_mib: float
    other: Sequence[Marks] | None = None
    other_name: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """One report in both forms."""

    json: bytes
    markdown: str


def render(report: Report) -> Written:
    """Both forms; takes a moment, because of the resampling."""
    told = _document(report)
    return Written(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n", _markdown(told))


def _document(report: Report) -> dict[str, Any]:
    marks = [one for part in report.parts for one in part.marks]
    quiet = [one for part in report.parts for one in part.quiet]
    seconds = sum(part.told.seconds for part in report.parts)
    turns = sum(part.turns for part in report.parts)
    millis = [one.millis for one in marks]
    return {
        "mneme": __version__,
        "file": report.file,
        "split": report.split,
        "conversations": [part.conversation for part in report.parts],
        "configuration": report.configuration,
        "questions": len(marks),
        "with_evidence": sum(bool(one.ranks or one.session_ranks) for one in marks),
        "evidence": sum(len(one.ranks) for one in marks),
        "left_out": sum(part.left_out for part in report.parts),
        "unasked": sum(part.unasked for part in report.parts),
        "overall": _plain(estimates(measures(marks), [one.conversation for one in marks])),
        "silence": _plain(estimates(silence(quiet), [one.conversation for one in quiet])),
        "categories": {c: _brief([m for m in marks if m.category == c]) for c in sorted({m.category for m in marks})},
        "by_conversation": {part.conversation: _told(part) | _brief(part.marks) for part in report.parts},
        "millis": {"p50": nearest_rank(millis, 0.50), "p95": nearest_rank(millis, 0.95)},
        "turns": turns,
        "turns_per_second": turns / seconds if seconds else None,
        "peak_rss_mib": round(report.peak_rss_mib, 1),
        "compared": _compared(report, marks),
    }


def _brief(marks: Sequence[Marks]) -> dict[str, float]:
    values = {measure.name: measure.value() for measure in measures(marks) if measure.name in _BRIEF}
    return {"questions": len(marks), **values}


def _told(part: Part) -> dict[str, Any]:
    rate = part.turns / part.told.seconds if part.told.seconds else None
    return {"turns": part.turns, "memories": part.told.memories, "turns_per_second": rate}


def _compared(report: Report, marks: Sequence[Marks]) -> dict[str, Any] | None:
    """Over the questions that both have; None when nothing is compared."""
    if report.other is None:
        return None
    theirs = {(m.conversation, m.number, m.question): m for m in report.other}
    pairs = [(m, theirs[at]) for m in marks if (at := (m.conversation, m.number, m.question)) in theirs]
    ours, other = [a for a, _ in pairs], [b for _, b in pairs]
    found = differences(measures(ours), measures(other), [m.conversation for m in ours])
    return {"with": report.other_name, "questions": len(pairs), "measures": _plain(found)}


def _plain(found: Mapping[str, Estimate] | Mapping[str, Difference]) -> dict[str, dict[str, float]]:
    return {name: asdict(one) for name, one in found.items()}


def _markdown(told: Mapping[str, Any]) -> str:
    intervals = {**told["overall"], **told["silence"]}
    speed = told["turns_per_second"]
    lines = [
        f"# Recall on {told['file']}",
        "",
        f"{len(told['conversations'])} conversations ({told['split']}), {told['turns']} turns, "
        f"{told['questions']} questions, "
        f"{told['with_evidence']} of them with evidence ({told['evidence']} turns; {told['left_out']} ids left out).",
        *_begun(told["configuration"], told["unasked"]),
        f"Per question p50 {told['millis']['p50']:.1f} ms, p95 {told['millis']['p95']:.1f} ms, embedding included. "
        f"Indexed {_number(speed)} turns/s. Peak memory of this process {told['peak_rss_mib']:.0f} MiB.",
        "",
        *table(
            ("measure", "value", "95 % interval"),
            [
                (name, _number(e["value"]), f"{_number(e['low'])} – {_number(e['high'])}")
                for name, e in intervals.items()
            ],
        ),
        *_split("category", told["categories"]),
        *_split("conversation", told["by_conversation"]),
        *_comparison(told["compared"]),
    ]
    return "\n".join(lines) + "\n"


def _begun(configuration: Mapping[str, Any], unasked: int) -> list[str]:
    """What a run on the beginnings of conversations leaves out."""
    if not configuration["turns"]:
        return []
    return [
        f"Of each conversation no more than the first {configuration['turns']} turns were told; "
        f"{unasked} questions need later ones and were not asked."
    ]


def _split(by: str, groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    columns = ("questions", *_BRIEF)
    rows = [(name, *(_number(values[column]) for column in columns)) for name, values in groups.items()]
    return ["", *table((by, *columns), rows)]


def _comparison(compared: Mapping[str, Any] | None) -> list[str]:
    if compared is None:
        return []
    head = ("measure", "this", compared["with"], "difference", "95 % interval", "p")
    rows = [
        (
            name,
            *(_number(d[key]) for key in ("ours", "other", "difference")),
            f"{_number(d['low'])} – {_number(d['high'])}",
            _number(d["p"]),
        )
        for name, d in compared["measures"].items()
    ]
    return ["", f"Compared on {compared['questions']} questions that both have:", "", *table(head, rows)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _number(value: float | None) -> str:
    """Shares with three digits, larger numbers with fewer; a dash where there is none."""
    if value is None or value != value:
        return "–"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
