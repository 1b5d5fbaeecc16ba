"""What `mneme top` shows, made of what a gateway tells of itself. Pure: the same figures give the same lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.terminal.lines import Line, Style, pad

_WINDOW = 60.0
_STORY = ("admit", "recall", "compose", "relay", "retain", "reflect")
_UNKNOWN = "–"
_NAME = 34


@dataclass(frozen=True, slots=True)
class Told:
    """What the gateway at `url` told last, in the shapes of /health/ready, /admin/vitals, /admin/stats and
    /admin/workers; `away` says why it tells no more, "" while it does."""

    url: str
    health: Mapping[str, Any]
    vitals: Mapping[str, Any]
    stats: Mapping[str, Any]
    workers: Mapping[str, Any]
    away: str = ""


def picture(told: Told) -> list[Line]:
    """All of it, the most urgent first. Rates and shares are those of the last minute."""
    beats: Sequence[Mapping[str, Any]] = told.vitals["beats"]
    recent = [beat for beat in beats if beat["at"] >= beats[-1]["at"] - _WINDOW]
    return [
        *_head(told, recent),
        *(_now(recent[-1]) if recent else ()),
        *(_rates(recent[0], recent[-1]) if len(recent) > 1 else ()),
        [],
        *_verbs(recent),
        [],
        *_workers(told.workers),
        [],
        *_tenants(told.stats),
    ]


def _head(told: Told, recent: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    status = "away" if told.away else str(told.health["status"])
    at = f"{_clock(recent[-1]['at'])} UTC" if recent else "no beat yet"
    version = told.stats["versions"]["mneme"]
    yield [
        (f"Mneme {version}  ", "bold"),
        (status, "good" if status == "ok" else "bad"),
        (f"  {at}  {told.url}  {told.vitals['process']}", "dim"),
    ]
    if told.away:
        yield [(f"Not now: {told.away}", "bad")]
    parts: list[tuple[str, Style]] = [("parts    ", "dim")]
    for name, state in told.health["parts"].items():
        parts.append((f"{name} {state}  ", "" if state == "ok" else "bad"))
    yield parts


def _now(beat: Mapping[str, Any]) -> Iterator[Line]:
    dead, pending = beat["dead"], beat["pending"]
    yield [
        ("queue    ", "dim"),
        (f"{_amount(pending)} wait, the oldest for {_lasting(beat['oldest'])}  ", ""),
        (f"dead letters {_amount(dead)}  ", "bad" if dead else ""),
        (f"to be thought about {_amount(beat['due'])}", ""),
    ]
    loop = beat["loop"]
    late = f"{loop['p50']:.1f} ms, p99 {loop['p99']:.1f} ms" if loop else _UNKNOWN
    memory = _UNKNOWN if beat["rss"] is None else f"{beat['rss'] / 1e6:.0f} MB"
    yield [("process  ", "dim"), (f"{memory} in RAM  event loop late by {late}", "")]


def _rates(first: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[Line]:
    def grown(name: str) -> int:
        return int(last[name]) - int(first[name])

    seconds = last["at"] - first["at"]
    answers, errors, broke = grown("answers"), grown("errors"), grown("broke")
    yield [
        ("answers  ", "dim"),
        (f"{_rate(answers, seconds)}  ", "bold"),
        (f"failed {_share(errors, answers)}  ", "bad" if errors else ""),
        (f"workers broke {broke} times", "bad" if broke else ""),
    ]
    outcomes = {name: last["recalls"][name] - first["recalls"][name] for name in last["recalls"]}
    recalls = sum(outcomes.values())
    shares = "  ".join(f"{name} {_share(count, recalls)}" for name, count in outcomes.items())
    yield [("recall   ", "dim"), (f"{_rate(recalls, seconds)}  {shares}", "")]
    prompt = grown("prompt")
    yield [
        ("tokens   ", "dim"),
        (f"prompts {_rate(prompt, seconds)}, {_share(grown('cached'), prompt)} cached", ""),
        (f"  injected {_rate(grown('injected'), seconds)}", ""),
    ]
    turns, indexed = grown("turns"), grown("indexed")
    yield [("turns    ", "dim"), (f"journalled {_rate(turns, seconds)}  indexed {_rate(indexed, seconds)}", "")]


def _verbs(recent: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """Of each verb the latest beat in which it ran: percentiles of several beats cannot be joined."""
    latest: dict[str, tuple[Mapping[str, float], float]] = {}
    for beat in recent:
        for verb, took in beat["verbs"].items():
            latest[verb] = took, beat["at"]
    yield [(pad("VERB", 16) + f"{'P50 ms':>10}{'P95 ms':>10}{'P99 ms':>10}{'AT':>11}", "dim")]
    if not latest:
        yield [("none ran in the last minute", "dim")]
    known = [verb for verb in _STORY if verb in latest]
    for verb in [*known, *sorted(latest.keys() - set(known))]:
        took, at = latest[verb]
        figures = "".join(f"{took[name]:>10.1f}" for name in ("p50", "p95", "p99"))
        yield [(f"{pad(verb, 16)}{figures}{_clock(at):>11}", "")]


def _workers(told: Mapping[str, Any]) -> Iterator[Line]:
    yield [(f"{pad('WORKER', _NAME)}  {pad('STATE', 12)}{'RUNNING':>8}  {pad('KV POLICY', 16)}MODELS", "dim")]
    for worker in told["workers"]:
        state = worker["state"] if worker["reachable"] else "away"
        policy = worker["kv"]["policy"] if worker["kv"] else "stock"
        models = ", ".join(str(model["id"]) for model in worker["models"])
        yield [
            (f"{pad(worker['url'], _NAME)}  ", ""),
            (pad(state, 12), "" if state == "ready" else "bad"),
            (f"{worker['in_flight']:>8}  {pad(policy, 16)}{models}", ""),
        ]
    for name in told["unserved"]:
        yield [(f"{name}: no worker answers under this name", "bad")]


def _tenants(told: Mapping[str, Any]) -> Iterator[Line]:
    head = f"{pad('TENANT', _NAME)}  {'USERS':>10}{'MEMORIES':>12}{'ASKED TODAY':>14}{'TOKENS':>12}"
    yield [(head, "dim")]
    for one in sorted(told["tenants"], key=lambda tenant: -tenant["memories"]):
        spent = one["spent"]
        counts = f"{one['users']:>10,}{one['memories']:>12,}{spent['calls']:>14,}{spent['tokens']:>12,}"
        yield [(f"{pad(one['tenant'], _NAME)}  {counts}", "")]


def _amount(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"


def _lasting(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"


def _rate(count: int, seconds: float) -> str:
    a_second = count / seconds
    return f"{a_second:.0f}/s" if a_second >= 100 else f"{a_second:.2g}/s"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else _UNKNOWN


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")
