"""What a soak found, as text for people. Pure."""

from tests.soak.flat import Verdict
from tests.soak.run import BOUNDS, Found

_HEAD = ("process", "measure", "begins", "ends", "an hour", "bound", "samples", "verdict")
_NAMES = {"rss": "RSS, MB", "files": "open files", "threads": "threads", "tasks": "tasks"}


def text(found: Found) -> str:
    """The verdicts in Markdown; below, what is looked at and not judged, and what was done."""
    lines = [_HEAD, *map(_cells, found.verdicts)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
    drawn = [" | ".join(_pad(cell, widths[at], at) for at, cell in enumerate(line)) for line in lines]
    rule = "|".join("-" * (width + 1) + ("-" if at < 2 else ":") for at, width in enumerate(widths))
    return "\n".join([f"| {drawn[0]} |", f"|{rule}|", *(f"| {line} |" for line in drawn[1:]), "", *_notes(found)])


def _cells(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.process,
        _NAMES[verdict.bound.measure],
        f"{verdict.begin:.1f}",
        f"{verdict.end:.1f}",
        f"{verdict.hourly:+.1f}",
        f"{verdict.bound.hourly:g}",
        str(verdict.samples),
        "flat" if verdict.flat else "GROWS" if verdict.samples else "not seen",
    )


def _notes(found: Found) -> list[str]:
    noise = ", ".join(f"{bound.noise:g} {_NAMES[bound.measure].replace(', MB', '')}" for bound in BOUNDS)
    said = [f"Less than {noise} in all is noise, whatever it makes an hour."]
    for each in found.watched:
        if not each.ours and each.times:
            rss = each.seen["rss"]
            said.append(f"{each.name} (not judged): RSS from {rss[0]:.0f} to {rss[-1]:.0f} MB.")
    said.append("Done: " + ", ".join(f"{name} {count}" for name, count in found.seen.most_common()) + ".")
    said.append(f"Turns that wait at the end: {found.waiting}; dead letters: {found.dead}.")
    said += [f"{name} says that it still answers {count}." for name, count in found.left.items() if count]
    said += [f"WRONG {count} times: {what}" for what, count in found.wrong.most_common()]
    return said


def _pad(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place < 2 else cell.rjust(width)
