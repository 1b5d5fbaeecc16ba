"""What grows is told from what does not, whatever the noise; and a slice of `make soak` that CI runs."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.soak import table
from tests.soak.flat import Bound, Verdict, judged, slope
from tests.soak.run import BOUNDS, Found, soak
from tests.soak.scenes import SLOW
from tests.soak.town import Town
from tests.support.upstream import Received, Reply, scripted_upstream

TIMES = [float(second) for second in range(0, 1800, 6)]
RSS = Bound("rss", "MB", hourly=12.0, noise=4.0)
WARM = 450.0


def made(value: Callable[[float], float], noise: float = 3.0) -> Verdict:
    """Half an hour of samples of a measure that is so at each second, but for noise and a few wild ones."""
    dice = random.Random(7)
    values = [value(at) + dice.uniform(-noise, noise) + (400.0 if dice.random() < 0.05 else 0.0) for at in TIMES]
    return judged("gateway 1", RSS, TIMES, values, WARM)


def found(*verdicts: Verdict, wrong: Sequence[str] = (), waiting: int = 0, left: int = 0) -> Found:
    """A soak that ended so."""
    return Found([], [*verdicts], Counter({"plain": 9}), Counter(wrong), {"gateway 1": left}, waiting, 0)


def test_a_line_is_found_among_wild_samples() -> None:
    """A fifth of them may be anything."""
    values = [1e6 if at % 5 == 0 else 2.0 * at for at in range(100)]

    assert slope([float(at) for at in range(100)], values) == pytest.approx(2.0)


def test_what_stays_is_flat() -> None:
    """Also when a few samples are far off."""
    verdict = made(lambda at: 330.0)

    assert verdict.flat
    assert verdict.begin == pytest.approx(330.0, abs=1.5)


def test_a_slow_leak_grows() -> None:
    """Forty MB an hour, hidden in noise of as much as it leaks in ten minutes."""
    verdict = made(lambda at: 330.0 + 40.0 * at / 3600)

    assert not verdict.flat
    assert verdict.hourly == pytest.approx(40.0, rel=0.2)


def test_warming_up_is_no_growth() -> None:
    """What fills in the first quarter and then stays is flat."""
    assert made(lambda at: 330.0 + min(at, WARM)).flat


def test_what_shrinks_is_flat() -> None:
    """A pool that closes what it does not need is welcome to."""
    assert made(lambda at: 330.0 - at / 20).flat


def test_little_in_all_is_noise_whatever_it_makes_an_hour() -> None:
    """In a short run a page or two would be a steep line."""
    times = [float(second) for second in range(60)]

    assert judged("w", RSS, times, [300 + 0.05 * at for at in times], 0.0).flat
    assert not judged("w", RSS, times, [300 + 0.5 * at for at in times], 0.0).flat


def test_what_was_hardly_looked_at_is_not_flat() -> None:
    """No samples, no verdict in favour."""
    assert not judged("w", RSS, [], [], 0.0).flat
    assert not judged("w", RSS, TIMES[:5], [1.0] * 5, 0.0).flat


def test_anything_that_must_not_be_fails_the_soak() -> None:
    """Growth, a scene that went wrong, a turn that waits, a request that is still said to run."""
    flat = made(lambda at: 330.0)

    assert found(flat).good
    assert not found(flat, made(lambda at: 330.0 + at / 9)).good
    assert not found(flat, wrong=["fleet, plain: 500 instead of 200"]).good
    assert not found(flat, waiting=1).good
    assert not found(flat, left=1).good


def test_the_table_says_what_grows() -> None:
    """In a line of its own, of one width with the others."""
    told = table.text(found(made(lambda at: 330.0), replace(made(lambda at: at), process="serve 1"), wrong=["x: 500"]))
    lines = told.splitlines()

    assert len({len(line) for line in lines[:4]}) == 1
    assert "flat" in lines[2] and "GROWS" in lines[3] and "serve 1" in lines[3]
    assert "WRONG 1 times: x: 500" in lines


def whose(received: Received) -> str:
    """The user that a request of a scene is about."""
    named = received.header(b"x-mneme-user")
    return named.decode() if named else parse_qs(urlsplit(received.target.decode()).query).get("user", [""])[0]


async def test_nobody_is_forgotten_in_the_middle_of_something() -> None:
    """Or what they began would find its own beginning gone, and the soak would call that wrong."""
    ends: dict[str, float] = {}
    forgot, early = set[str](), list[str]()

    def slowly(received: Received) -> Reply:
        user, now = whose(received), time.monotonic()
        if b"/admin/forget" in received.target:
            forgot.add(user)
            early.extend([user] if now < ends.get(user, 0.0) else [])
        elif user in forgot:
            early.append(user)
        takes = 0.0 if SLOW.encode() in received.body else 0.08  # whoever leaves before the answer ends before it
        ends[user] = now + takes
        return Reply(418, wait=takes)

    async with scripted_upstream() as gateway:
        gateway.answering = slowly
        now = time.monotonic()
        town = Town("town", [gateway.url.removesuffix("/v1")], 1, 1000.0, 0.01)
        await town.live(now, now + 1.5, 1.0)

    assert early == []
    assert len(forgot) > 2


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_everything_at_once_goes_well() -> None:
    """Twenty seconds of all scenes: none goes wrong, every process is looked at in every way, nothing is left."""
    seen = await soak(20.0, lambda what: None)

    assert not seen.wrong
    assert (seen.waiting, seen.dead, sum(seen.left.values())) == (0, 0, 0)
    assert {each.name.split()[0] for each in seen.watched if each.ours} == {"gateway", "writer", "serve"}
    assert all(set(each.seen) == {bound.measure for bound in BOUNDS} for each in seen.watched if each.ours)
    assert len(seen.seen) > 8
