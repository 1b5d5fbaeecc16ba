"""A beat tells what the metrics count, what took how long since the one before, and what nobody answered as unknown."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from gateway.errors import UpstreamBroke
from gateway.pulse import EVERY, Beat, Outcomes, Pulse
from gateway.telemetry import Telemetry
from gateway.tracing import Said
from tests.contracts.samples import turn
from tests.support.model import Clock
from tests.support.model_agenda import ModelAgenda
from tests.support.model_turns import ModelJournal


@dataclass
class Ward:
    """A process with a journal and an agenda; its clock stands still unless it is told."""

    clock: Clock = field(default_factory=Clock)
    seen: Telemetry = field(default_factory=Telemetry)
    agenda: ModelAgenda = field(default_factory=ModelAgenda)

    def __post_init__(self) -> None:
        self.journal = ModelJournal(clock=self.clock)
        self.pulse = Pulse(self.seen, self.journal, self.agenda, self.clock, "ward:1")

    async def beat(self) -> Beat:
        """The next one, a moment later."""
        self.clock.now += 1
        await self.pulse.beat()
        return self.pulse.since(0)[-1]


@pytest.fixture
def ward() -> Iterator[Ward]:
    """One where all answers."""
    ward = Ward()
    with ward.journal.open(), ward.agenda.open():
        yield ward


async def test_a_beat_tells_what_was_counted_so_far(ward: Ward) -> None:
    """Of all modes, statuses and endings together."""
    for mode, status in (("on", "2xx"), ("off", "2xx"), ("on", "4xx"), ("on", "5xx")):
        ward.seen.answers.labels(mode, status).inc()
    for outcome in ("hit", "hit", "silent", "skipped"):
        ward.seen.recalled(outcome, 1, 30)
    for ending in ("final", "partial"):
        ward.seen.turns.labels(ending).inc()
    ward.seen.indexed.labels("indexed").inc(3)
    ward.seen.indexed.labels("dead").inc(8)
    ward.seen.injected.observe(30)
    ward.seen.injected.observe(12)
    ward.seen.broke(UpstreamBroke("x"))
    ward.seen.answered(Said("", "", [], {"prompt_tokens": 40, "prompt_tokens_details": {"cached_tokens": 32}}, ""))

    beat = await ward.beat()

    assert (beat.answers, beat.errors, beat.broke, beat.turns, beat.indexed) == (4, 1, 1, 2, 3)
    assert (beat.recalls, beat.injected, beat.prompt, beat.cached) == (Outcomes(2, 1, 1), 42, 40, 32)
    assert (beat.at, beat.rss is not None and beat.rss > 1 << 20) == (ward.clock.now, True)


async def test_a_beat_tells_what_waits(ward: Ward) -> None:
    """The journal's state and the agenda's."""
    await ward.journal.append(turn("one"))
    before = ward.clock.now
    beat = await ward.beat()

    assert (beat.pending, beat.dead, beat.oldest, beat.due) == (1, 0, ward.clock.now - before, 0)


async def test_what_does_not_answer_is_unknown() -> None:
    """And everything else is told."""
    ward = Ward()
    ward.seen.answers.labels("on", "2xx").inc()
    with ward.agenda.open():
        without = await ward.beat()
    with ward.journal.open():
        other = await ward.beat()

    assert (without.pending, without.dead, without.oldest, without.due, without.answers) == (None, None, None, 0, 1)
    assert (other.pending, other.due, other.answers) == (0, None, 1)


async def test_percentiles_are_of_the_time_since_the_beat_before(ward: Ward) -> None:
    """A verb that did not end meanwhile is not told."""
    for _ in range(100):
        ward.seen.verbs.labels("recall").observe(0.0101)
    slow = await ward.beat()
    for _ in range(100):
        ward.seen.verbs.labels("recall").observe(0.0011)
    ward.seen.loop_delay.observe(0.3)
    quick, idle = await ward.beat(), await ward.beat()

    assert 10 < slow.verbs["recall"].p50 <= slow.verbs["recall"].p99 <= 20
    assert 1 < quick.verbs["recall"].p50 <= quick.verbs["recall"].p99 <= 2
    assert (slow.loop, quick.loop is not None and 250 < quick.loop.p50 <= 500) == (None, True)
    assert (idle.verbs, idle.loop) == ({}, None)


async def test_beats_are_told_from_a_moment_on(ward: Ward) -> None:
    """Without the one of that moment, so that nobody is told one twice."""
    first, second, third = [await ward.beat() for _ in range(3)]

    assert ward.pulse.since(first.at) == [second, third]
    assert ward.pulse.since(third.at) == []


async def test_beats_of_an_hour_are_kept(ward: Ward) -> None:
    """The oldest leave."""
    for _ in range(int(3600 / EVERY) + 5):
        last = await ward.beat()
    kept = ward.pulse.since(0)

    assert (len(kept), kept[-1]) == (3600 / EVERY, last)


async def test_a_pulse_beats_by_itself_until_it_is_stopped(ward: Ward) -> None:
    """At once for the first time."""
    running = asyncio.create_task(ward.pulse.run())
    while not ward.pulse.since(0):
        await asyncio.sleep(0)
    running.cancel()

    assert len(ward.pulse.since(0)) == 1


async def test_a_beat_holds_numbers_and_names_of_verbs_only(ward: Ward) -> None:
    """Whatever was said and by whomever."""
    await ward.journal.append(turn("one"))
    ward.seen.verbs.labels("recall").observe(0.01)
    told = msgspec.to_builtins(await ward.beat())
    words = [value for value in told.values() if isinstance(value, str)]

    assert (words, [*told["verbs"]]) == ([], ["recall"])
