"""Findings as a table for people, and as JSON. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import orjson

from gateway.doctor.finding import Finding, State

_WORST: Sequence[State] = ("fail", "warn", "ok")


def worst(findings: Sequence[Finding]) -> State:
    """How it is altogether."""
    return next((state for state in _WORST if any(found.state == state for found in findings)), "ok")


def table(findings: Sequence[Finding]) -> str:
    """A line each, and below it what to do; at the end how many there are of each kind."""
    width = max((len(found.name) for found in findings), default=0)
    lines = []
    for found in findings:
        state = found.state.upper() if found.state == "fail" else found.state
        lines.append(f"{state:<8} {found.name:<{width}}  {found.found}")
        if found.advice:
            lines.append(f"{'':<8} {'':<{width}}  → {found.advice}")
    counts = Counter(found.state for found in findings)
    told = ", ".join(f"{counts[state]} {state}" for state in ("ok", "warn", "fail", "skipped") if counts[state])
    return "\n".join([*lines, "", f"{len(findings)} checks: {told}"])


def as_json(findings: Sequence[Finding]) -> str:
    """{"status": the worst state, "checks": [{"name", "state", "found", "advice"}]}."""
    told = {"status": worst(findings), "checks": [asdict(found) for found in findings]}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()
