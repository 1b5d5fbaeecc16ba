"""The last hour as charts and tiles: what beats tell, as a person reads it. Pure; knows no API and no HTML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gateway.pages.look import amount, lasting, share

Beat = Mapping[str, Any]
Read = Callable[[Beat], float | None]
Line = tuple[str, tuple[float | None, ...]]

_STEP = 30  # seconds: a chart a third of a screen wide shows no more
_MEGA = 1e6
_OUTCOMES = ("hit", "silent", "skipped")
_STORY = ("admit", "recall", "compose", "relay", "retain", "reflect")


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same moments; a value is None where nobody knows."""

    id: str
    title: str
    unit: str
    x: tuple[int, ...]
    lines: tuple[Line, ...]
    log: bool = False

    @property
    def drawn(self) -> dict[str, Any]:
        """As the page's script draws it."""
        lines = [{"label": label, "values": values} for label, values in self.lines]
        return {"x": self.x, "lines": lines, "unit": self.unit, "time": True, "log": self.log}

    @property
    def said(self) -> str:
        """The same for who cannot see it: what is now, and the most there was."""
        return "; ".join(f"{label} {self._said(values)}" for label, values in self.lines)

    def _said(self, values: Sequence[float | None]) -> str:
        known = [value for value in values if value is not None]
        if not known:
            return "unknown"
        now = "unknown" if values[-1] is None else f"{worded(values[-1])}{self.unit}"
        return f"{now} (at most {worded(max(known))}{self.unit})"


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, what it is of, and whether it is a bad one."""

    label: str
    value: str
    more: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Took:
    """How long a verb took: answers, within which time the faster 50, 95 and 99 per cent ended, and each bucket's name,
    count and height in [0, 1]."""

    verb: str
    count: int
    within: tuple[str, str, str]
    bars: tuple[tuple[str, int, float], ...]


def charts(beats: Sequence[Beat]) -> list[Chart]:
    """All of them, however few beats there are."""
    points = _thinned(beats)
    x = tuple(round(point[-1]["at"]) for point in points)
    verbs = sorted({verb for beat in beats for verb in beat["verbs"]}, key=_in_story)

    def chart(id: str, title: str, unit: str, *lines: Line, log: bool = False) -> Chart:
        return Chart(id, title, unit, x, lines, log)

    def level(label: str, read: Read) -> Line:
        return label, tuple(read(point[-1]) for point in points)

    def worst(label: str, read: Read) -> Line:
        known = ([value for value in map(read, point) if value is not None] for point in points)
        return label, tuple(max(values, default=None) for values in known)

    def slow(verb: str) -> Line:
        return worst(verb, _of("verbs", verb, "p95"))

    def rate(label: str, read: Read, per: float = 1.0) -> Line:
        return label, (*(None for _ in points[:1]), *(_rate(a[-1], b[-1], read, per) for a, b in pairwise(points)))

    return [
        chart("lag", "Turns that wait", "", level("to be indexed", _of("pending")), level("thoughts due", _of("due"))),
        chart("oldest", "Age of the oldest waiting turn", " s", worst("oldest", _of("oldest"))),
        chart("answers", "Answers a second", "", rate("answers", _of("answers")), rate("errors", _of("errors"))),
        chart("recalls", "Recalls a minute", "", *(rate(each, _of("recalls", each), 60) for each in _OUTCOMES)),
        chart("took", "95 % of each verb end within", " ms", *map(slow, verbs), log=True),
        chart("tokens", "Tokens a second", "", *(rate(each, _of(each)) for each in ("prompt", "cached", "injected"))),
        chart("turns", "Turns so far", "", level("journalled", _of("turns")), level("indexed", _of("indexed"))),
        chart("loop", "Event loop late", " ms", *(worst(e, _of("loop", e)) for e in ("p50", "p95", "p99"))),
        chart("rss", "RAM of this process", " MB", level("in use", _mega)),
    ]


def tiles(beats: Sequence[Beat]) -> list[Tile]:
    """The numbers of now, and of what was counted while these beats were taken; [] without any."""
    if not beats:
        return []
    first, now = beats[0], beats[-1]
    hit, silent, skipped = (now["recalls"][each] - first["recalls"][each] for each in _OUTCOMES)
    asked = hit + silent + skipped
    answers, errors, broke, prompt, cached = (
        now[each] - first[each] for each in ("answers", "errors", "broke", "prompt", "cached")
    )
    loop = next((beat["loop"] for beat in reversed(beats) if beat["loop"]), None)
    late = f"p50 {worded(loop['p50'])} ms, p95 {worded(loop['p95'])} ms" if loop else "nobody knows yet"
    return [
        Tile("Turns to be indexed", amount(now["pending"]), f"the oldest waits for {lasting(now['oldest'])}"),
        Tile("Dead letters", amount(now["dead"]), "turns that could not be indexed", bool(now["dead"])),
        Tile("Recalls that hit", share(hit, asked), f"{share(silent, asked)} silent, {share(skipped, asked)} skipped"),
        Tile("Prompt tokens cached", share(cached, prompt), f"{amount(cached)} of {amount(prompt)}"),
        Tile("Answers", amount(answers), f"{amount(errors)} errors, {amount(broke)} broken by a worker", errors > 0),
        Tile("Event loop late, p99", f"{worded(loop['p99'])} ms" if loop else "–", late),
        Tile("RAM", "–" if now["rss"] is None else f"{amount(now['rss'] / _MEGA)} MB", "of this process"),
        Tile("Thoughts due", amount(now["due"]), "turns to be thought about"),
    ]


def took(histograms: Mapping[str, Mapping[str, Any]]) -> list[Took]:
    """Every verb that was timed, as the story tells them."""
    told = sorted(histograms.items(), key=lambda item: _in_story(item[0]))
    return [_took(verb, each["edges"], each["counts"]) for verb, each in told]


def worded(value: float) -> str:
    """As many digits as tell something."""
    return amount(value) if abs(value) >= 100 else f"{value:.3g}"


def _took(verb: str, edges: Sequence[float], counts: Sequence[int]) -> Took:
    names = [*(f"up to {_millis(edge)}" for edge in edges), f"over {_millis(edges[-1])}"]
    most, total = max(counts) or 1, sum(counts)
    bars = tuple((name, count, count / most) for name, count in zip(names, counts, strict=True))
    return Took(verb, total, (_within(bars, 0.5), _within(bars, 0.95), _within(bars, 0.99)), bars)


def _within(bars: Sequence[tuple[str, int, float]], part: float) -> str:
    """The bucket in which the slowest of that part of all ended."""
    left = part * sum(count for _, count, _ in bars)
    for name, count, _ in bars:
        left -= count
        if count and left <= 0:
            return name
    return "–"


def _millis(millis: float) -> str:
    return f"{millis:g} ms" if millis < 1000 else lasting(millis / 1000)


def _thinned(beats: Sequence[Beat]) -> list[list[Beat]]:
    points: dict[int, list[Beat]] = {}
    for beat in beats:
        points.setdefault(int(beat["at"] // _STEP), []).append(beat)
    return list(points.values())


def _rate(before: Beat, after: Beat, read: Read, per: float) -> float | None:
    since: float = after["at"] - before["at"]
    began, ended = read(before), read(after)
    if since <= 0 or began is None or ended is None:
        return None
    return round(per * (ended - began) / since, 4)


def _of(*path: str) -> Read:
    """What lies there in a beat; None where it ends before."""

    def read(beat: Beat) -> float | None:
        found: Any = beat
        for name in path:
            found = found.get(name) if found is not None else None
        return None if found is None else float(found)

    return read


def _mega(beat: Beat) -> float | None:
    return None if beat["rss"] is None else round(beat["rss"] / _MEGA, 1)


def _in_story(verb: str) -> tuple[int, str]:
    return (_STORY.index(verb) if verb in _STORY else len(_STORY)), verb
