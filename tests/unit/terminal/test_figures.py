"""The figures of `mneme top`: rates of the last minute, and what is wrong told in words."""

from typing import Any

from gateway.terminal.figures import Told, picture
from gateway.terminal.lines import printed

AT = 1_777_852_800.0


def beat(after: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A beat so many seconds after the first one, in which nothing had happened but what is told."""
    return {
        "at": AT + after,
        "pending": 0,
        "dead": 0,
        "oldest": 0.0,
        "due": 0,
        "rss": 300_000_000,
        "loop": {"p50": 0.5, "p95": 1.0, "p99": 2.0},
        "verbs": {},
        "recalls": {"hit": 0, "silent": 0, "skipped": 0},
        **dict.fromkeys(("answers", "errors", "broke", "injected", "prompt", "cached", "turns", "indexed"), 0),
        **fields,
    }


def told(*beats: dict[str, Any], **fields: Any) -> Told:
    """Of a gateway that is well."""
    spent = {"calls": 2, "tokens": 3}
    return Told(
        "http://127.0.0.1:8080",
        **{
            "health": {"status": "ok", "parts": {"journal": "ok"}},
            "vitals": {"process": "one:1", "beats": list(beats)},
            "stats": {
                "versions": {"mneme": "0.1.0"},
                "tenants": [{"tenant": "acme", "users": 3, "memories": 1200, "spent": spent}],
            },
            "workers": {"workers": [], "unserved": []},
            **fields,
        },
    )


def shown(*beats: dict[str, Any], **fields: Any) -> str:
    """The picture as text."""
    return printed(picture(told(*beats, **fields)))


def test_rates_are_those_of_the_last_minute() -> None:
    """Older beats do not count; shares are of what came in it."""
    recalls = {"hit": 30, "silent": 10, "skipped": 0}
    text = shown(
        beat(-600, answers=0),
        beat(0, answers=1000),
        beat(50, answers=1100, errors=5, recalls=recalls, prompt=1000, cached=750, injected=250),
    )

    assert "2/s  failed 5 %" in text
    assert "hit 75 %  silent 25 %  skipped 0 %" in text
    assert "75 % cached  injected 5/s" in text


def test_without_a_beat_there_is_something_to_see() -> None:
    """A gateway that has just begun: parts, workers and tenants."""
    text = shown()

    assert "no beat yet" in text and "journal ok" in text and "acme" in text


def test_what_nobody_knows_is_a_dash() -> None:
    """Where journal, agenda or system did not tell, and of nothing there is no share."""
    text = shown(beat(), beat(5, pending=None, dead=None, oldest=None, due=None, rss=None, loop=None))

    assert "– wait, the oldest for –  dead letters –  to be thought about –" in text
    assert "– in RAM  event loop late by –" in text
    assert "failed –" in text


def test_a_verb_is_told_as_it_ran_last() -> None:
    """In the story's order, with the time of that beat."""
    took = {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    text = shown(beat(verbs={"relay": took, "admit": took, "ask": took}), beat(5, verbs={"relay": took | {"p99": 9.0}}))
    relay = next(line for line in text.splitlines() if line.startswith("relay"))

    assert text.index("\nadmit") < text.index("\nrelay") < text.index("\nask")
    assert relay.split() == ["relay", "1.0", "2.0", "9.0", "00:00:05"]


def test_what_is_wrong_is_said() -> None:
    """A part, a worker, an alias, a gateway that does not answer any more."""
    worker = {
        "url": "http://w/v1",
        "reachable": False,
        "state": "ready",
        "in_flight": 0,
        "models": [{"id": "m\x1b[31m"}],
        "kv": None,
    }
    text = shown(
        health={"status": "degraded", "parts": {"memories": "failing"}},
        workers={"workers": [worker], "unserved": ["endless"]},
    )

    assert "degraded" in text and "memories failing" in text
    assert "away" in text and "m⟨U+001B⟩[31m" in text and "endless: no worker answers" in text


def test_a_gateway_that_is_away_is_not_called_well() -> None:
    """The last figures stay, and it is said why there are no others."""
    text = shown(beat(answers=7), away="it does not answer")

    assert text.startswith("Mneme 0.1.0  away  ") and "Not now: it does not answer" in text
    assert "300 MB" in text
