"""Checks look beside each other, each in its own time, and none costs another; findings become text and JSON."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from gateway.doctor.finding import Check, Finding, State, examined, shown
from gateway.doctor.report import as_json, table, worst
from gateway.errors import MemoryUnavailable

CANARY = "hunter2"


def finding(name: str, state: State = "ok", advice: str = "") -> Finding:
    """About something."""
    return Finding(name, state, f"what {name} is like", advice)


async def fine() -> Sequence[Finding]:
    """After a moment."""
    await asyncio.sleep(0.2)
    return [finding("fine")]


async def broken() -> Sequence[Finding]:
    """With words that nobody may see."""
    raise ValueError(CANARY)


async def refused() -> Sequence[Finding]:
    """With words for the operator."""
    raise MemoryUnavailable("It is away.")


async def silent() -> Sequence[Finding]:
    """For ever."""
    await asyncio.Event().wait()
    return []


async def test_one_that_fails_is_a_finding_of_its_own() -> None:
    """What it says is shown only when it is ours; the others are found, in their order."""
    checks = [Check("a", silent, 0.1), Check("b", broken), Check("c", fine), Check("d", refused)]
    found = await examined(checks)

    assert [(each.name, each.state) for each in found] == [("a", "fail"), ("b", "fail"), ("fine", "ok"), ("d", "fail")]
    assert [each.found for each in found[:2]] == ["no answer within 0.1 s", "the check itself broke (ValueError)"]
    assert found[3].found == "It is away."
    assert CANARY not in table(found)


async def test_checks_look_beside_each_other() -> None:
    """Twenty take as long as one."""
    begun = time.monotonic()
    assert len(await examined([Check("fine", fine)] * 20)) == 20
    assert time.monotonic() - begun < 2


def test_the_table_says_what_to_do() -> None:
    """A line for each, below it the advice, at the end the counts."""
    lines = table([finding("one"), finding("another", "fail", "Mend it."), finding("third", "skipped")]).splitlines()

    assert lines[0] == "ok       one      what one is like"
    assert lines[1:3] == ["FAIL     another  what another is like", "                  → Mend it."]
    assert lines[-1] == "3 checks: 1 ok, 1 fail, 1 skipped"


@pytest.mark.parametrize(
    ("states", "altogether"),
    [
        (["ok", "skipped"], "ok"),
        (["ok", "warn", "skipped"], "warn"),
        (["fail", "warn", "ok"], "fail"),
        (["skipped"], "ok"),
        ([], "ok"),
    ],
)
def test_the_worst_stands_for_all(states: list[State], altogether: State) -> None:
    """What was skipped says nothing."""
    assert worst([finding("x", state) for state in states]) == altogether


def test_programs_get_json() -> None:
    """The same, and the worst state."""
    assert json.loads(as_json([finding("one", "warn", "Mend it.")])) == {
        "status": "warn",
        "checks": [{"name": "one", "state": "warn", "found": "what one is like", "advice": "Mend it."}],
    }


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("redis://:hunter2@redis:6379/0", "redis:6379/0"),
        ("rediss://mneme:hunter2@redis", "redis"),
        ("unix:///run/redis.sock?password=hunter2", "/run/redis.sock"),
        ("http://user:hun@ter2@[::1]:8000/v1", "[::1]:8000/v1"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, plain: str) -> None:
    """Wherever that stands."""
    assert shown(url) == plain
