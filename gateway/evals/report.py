"""What a demo found, as a table to read and as JSON to keep. Pure; knows no gateway."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from gateway.evals.locomo import CATEGORIES
from gateway.evals.tally import Asked, Replayed, Tally, by_category, reasons, tally

_ROW = "{:<12} {:>9}  {:>17}  {:>17}  {:>9}  {:>8}  {:>8}\n"
_HEAD = ("category", "questions", "evidence found", "all of it found", "tokens", "p50 ms", "p95 ms")


@dataclass(frozen=True, slots=True)
class Report:
    """`asked` once everything was indexed; `at_once` right after the last turn, about what was said last, and
    `later` the answers to the same questions out of `asked`.

    `left_out` counts evidence ids that no turn has, `unasked` the questions that have no evidence.
    """

    file: str
    model: str
    replayed: Sequence[Replayed]
    asked: Sequence[Asked]
    at_once: Sequence[Asked]
    later: Sequence[Asked]
    left_out: int
    unasked: int


def table(report: Report) -> str:
    """The figures for a terminal, lines of at most 100 characters where names are short."""
    rows = [(CATEGORIES[kind], sums) for kind, sums in by_category(report.asked).items()]
    text = _ROW.format(*_HEAD)
    text += "".join(_row(name, sums) for name, sums in [*rows, ("overall", tally(report.asked))])
    return "\n".join([text, *_remarks(report)]) + "\n"


def document(report: Report) -> bytes:
    """Everything as JSON, with each question and its trace id."""
    return orjson.dumps(
        {
            "file": report.file,
            "model": report.model,
            "conversations": [asdict(one) for one in report.replayed],
            "categories": {CATEGORIES[kind]: asdict(sums) for kind, sums in by_category(report.asked).items()},
            "overall": asdict(tally(report.asked)),
            "skipped": reasons(one.skipped for one in report.asked),
            "at_once": {
                "then": asdict(tally(report.at_once)),
                "indexed": asdict(tally(report.later)),
                "questions": [asdict(one) for one in report.at_once],
            },
            "questions": [asdict(one) for one in report.asked],
        },
        option=orjson.OPT_INDENT_2,
    )


def _row(name: str, sums: Tally) -> str:
    return _ROW.format(
        name,
        sums.questions,
        _share(sums.found, sums.evidence),
        _share(sums.complete, sums.questions),
        f"{sums.tokens:.0f}",
        f"{sums.p50:.1f}",
        f"{sums.p95:.1f}",
    )


def _remarks(report: Report) -> list[str]:
    turns, seconds = sum(one.turns for one in report.replayed), sum(one.seconds for one in report.replayed)
    speed = turns / seconds if seconds else 0.0
    told = sum((Counter(one.skipped) for one in report.replayed), Counter[str]())
    lines = [
        f"Replayed {turns} turns in {seconds:.1f} s ({speed:.1f} turns/s).",
        f"Skipped: {_counts(reasons(one.skipped for one in report.asked))} in questions, "
        f"{_counts(told)} in replayed turns.",
    ]
    if report.at_once:
        then, later = tally(report.at_once), tally(report.later)
        lines.append(
            f"Asked at once, with {sum(one.pending for one in report.replayed)} turns not indexed yet: the "
            f"{then.questions} questions about what was said last found {_share(then.found, then.evidence)} of the "
            f"evidence\n(skipped: {_counts(reasons(one.skipped for one in report.at_once))}); once indexed the same "
            f"ones found {_share(later.found, later.evidence)}."
        )
    if report.left_out or report.unasked:
        lines.append(
            f"Left out: {report.left_out} evidence ids that no turn has, {report.unasked} questions without evidence."
        )
    return lines


def _counts(named: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in named.items()) or "nothing"


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} ({part / whole:.1%})" if whole else "0/0"
