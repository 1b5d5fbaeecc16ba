"""What was found in memory, as JSON and as Markdown tables. Pure; looks at nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import orjson

from gateway import __version__
from gateway.evals.hygiene.measures import Tally
from gateway.evals.recall.report import table

_HEAD = (
    *("policy", "kind", "memories", "active", "per 1,000 turns"),
    *("same words", "near", "copies", "self-echo", "system prompt", "secrets", "unsupported"),
)
_ALL = "all"
_SUMMED = ("turns", "recalled", "planted", "leaked")


@dataclass(frozen=True, slots=True)
class Look:
    """At one user's memory after so many `turns`, in `recalled` of which memory put something into the prompt:
    `planted` secrets, of which `leaked` stand in the journal."""

    turns: int
    recalled: int
    planted: int
    leaked: int
    kinds: Mapping[str, Tally]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a policy remembers of all conversations; `kinds` has "all" too."""

    policy: str
    turns: int
    recalled: int
    planted: int
    leaked: int
    kinds: Mapping[str, Tally]

    @classmethod
    def of(cls, policy: str, looks: Sequence[Look]) -> "Kept":
        """The sums."""
        names = sorted({kind for look in looks for kind in look.kinds})
        kinds = {kind: _sum([look.kinds[kind] for look in looks if kind in look.kinds]) for kind in names}
        whole = {**kinds, _ALL: _sum([*kinds.values()])}
        sums = {name: sum(getattr(look, name) for look in looks) for name in _SUMMED}
        return cls(policy=policy, kinds=whole, **sums)

    @property
    def goals(self) -> dict[str, bool]:
        """Which goals are met."""
        whole = self.kinds[_ALL]
        return {
            "no self-echo": whole.echoes == 0,
            "no secret": whole.secrets == 0 and self.leaked == 0,
            "less than 1 % in the same words": whole.same < 0.01 * max(whole.active, 1),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Of one file, which has this digest."""

    file: str
    digest: str
    found: tuple[Kept, ...]


def as_json(report: Report) -> bytes:
    """Everything."""
    told = {
        "mneme": __version__,
        "file": report.file,
        "digest": report.digest,
        "policies": {kept.policy: {**asdict(kept), "goals": kept.goals} for kept in report.found},
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n"


def as_markdown(report: Report) -> str:
    """A line per policy and kind, then which goals are missed."""
    rows = [_row(kept, kind, tally) for kept in report.found for kind, tally in kept.kinds.items()]
    lines = [f"# Hygiene on {report.file}", "", *table(_HEAD, rows), ""]
    for kept in report.found:
        missed = [goal for goal, met in kept.goals.items() if not met]
        lines.append(
            f"{kept.policy}: {kept.turns} turns, {kept.recalled} of them with something recalled; "
            f"{kept.planted} secrets planted, {kept.leaked} of them in the journal. "
            + (f"Missed: {', '.join(missed)}." if missed else "All goals are met.")
        )
    return "\n".join(lines)


def _row(kept: Kept, kind: str, tally: Tally) -> tuple[str, ...]:
    shares = ((tally.same, tally.active), (tally.near, tally.active))
    others = (tally.copies, tally.echoes, tally.system)
    return (
        *(kept.policy, kind, str(tally.memories), str(tally.active), f"{1000 * tally.memories / kept.turns:.0f}"),
        *(_share(*share) for share in shares),
        *(_share(count, tally.memories) for count in others),
        str(tally.secrets),
        _share(tally.unsupported, tally.memories),
    )


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"


def _sum(parts: Sequence[Tally]) -> Tally:
    return Tally(*(sum(getattr(part, field.name) for part in parts) for field in fields(Tally)))
