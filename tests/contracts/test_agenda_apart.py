"""Every Agenda keeps users apart, erases what it is told, and says so when it is closed."""

import asyncio

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.reflections import Spent
from gateway.memory.thinking import Agenda
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, LOOKALIKES
from tests.contracts.thoughts import derived, due, reflection

LEASE = 60.0


async def test_scopes_never_mix(agenda: Agenda) -> None:
    """Scopes that look alike share nothing, under the same turn and the same id."""
    for number, scope in enumerate(LOOKALIKES):
        assert await agenda.due(scope, 10) == []
        assert await agenda.count(scope) == 0
        assert not await agenda.intend(scope, reflection("r", "a"))
        assert await agenda.add(scope, [due("a", number), due("b", number)], float(number)) == 2
        assert await agenda.intend(scope, reflection("r", "a", policy=str(number)))

    for number, scope in enumerate(LOOKALIKES):
        assert await agenda.due(scope, 10) == [due("b", number)]
        assert [one.policy for one in await agenda.unfinished(scope)] == [str(number)]
        assert await agenda.reflection(scope, "r") == reflection("r", "a", policy=str(number))
        assert await agenda.tried(scope) == 1
    assert [await agenda.claim(100.0, LEASE) for _ in LOOKALIKES] == LOOKALIKES


async def test_removing_touches_no_lookalike(agenda: Agenda) -> None:
    """Neither erasing nor forgetting reaches a scope that only looks like the one asked for."""
    for scope in LOOKALIKES:
        await agenda.add(scope, [due("a"), due("b")], 1.0)
        await agenda.intend(scope, reflection("r", "a", state="applied"))
    for number, scope in enumerate(LOOKALIKES[:-1]):
        gone = agenda.erase(scope, ["a", "b"]) if number % 2 else agenda.forget(scope)
        assert await gone == (1 if number % 2 else 3)
        assert await agenda.count(scope) == 0
        assert await agenda.count(LOOKALIKES[number + 1]) == 3

    assert await agenda.waiting() == 1
    assert await agenda.claim(100.0, LEASE) == LOOKALIKES[-1]
    assert await agenda.claim(100.0, LEASE) is None


async def test_count_knows_each_record_once(agenda: Agenda) -> None:
    """Turns that are due, were thought about, or both; and reflections."""
    await agenda.add(ADA, [due(id) for id in ("due", "thought", "both")], 1.0)
    await agenda.intend(ADA, reflection("r", "thought", "both"))
    await agenda.add(ADA, [due("both", stamp="new")], 1.0)

    assert await agenda.count(ADA) == 4
    assert await agenda.forget(ADA) == 4
    assert await agenda.forget(ADA) == 0


@pytest.mark.parametrize("source", IDS)
async def test_erasing_takes_what_rests_on_it(agenda: Agenda, source: str) -> None:
    """Whether a reflection is about the turn, or its images repeat what the turn said; others stay."""
    fresh = [due(id) for id in dict.fromkeys([source, "1", "2", "3", "4", "5"])]
    await agenda.add(ADA, fresh, 1.0)
    for told in (
        reflection("about it", source),
        reflection("knew it", "1", before=(derived("m", "x", source),)),
        reflection("made of it", "2", after=(derived("m", source, "x"),)),
        reflection("is it", "3", after=(derived(source, "x"),)),
        reflection("other", "4", before=(derived("m", "x", f"{source}x"),), state="applied"),
    ):
        assert await agenda.intend(ADA, told)

    assert await agenda.erase(ADA, [source, "nobody", source]) == 4
    assert [one.id for one in (await agenda.reflections(ADA)).items] == ["other"]
    assert await agenda.unfinished(ADA) == []
    assert await agenda.count(ADA) == 6
    assert await agenda.add(ADA, [due(source)], 1.0) == 2


async def test_what_a_conclusion_rests_on_counts(agenda: Agenda) -> None:
    """And no longer what the intention did."""
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.intend(ADA, reflection("r", "a", before=(derived("m", "then"),)))
    await agenda.conclude(ADA, reflection("r", "a", after=(derived("m", "now"),), state="applied"))

    assert await agenda.erase(ADA, ["then"]) == 0
    assert await agenda.erase(ADA, ["now"]) == 1


async def test_erasing_a_due_turn_takes_it_off(agenda: Agenda) -> None:
    """It counts no reflection; whose last one it was is not claimed."""
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.add(BOB, [due("a")], 2.0)

    assert await agenda.erase(ADA, ["a"]) == 0
    assert await agenda.erase(ADA, []) == 0
    assert await agenda.waiting() == 1
    assert await agenda.claim(10.0, LEASE) == BOB


async def test_who_was_forgotten_begins_anew(agenda: Agenda) -> None:
    """Nothing of them is known: not their lease, nor their tries, nor what was thought about."""
    await agenda.add(ADA, [due("a"), due("b")], 1.0)
    await agenda.claim(10.0, LEASE)
    await agenda.intend(ADA, reflection("r", "a"))
    await agenda.tried(ADA)
    assert await agenda.forget(ADA) == 3
    assert await agenda.waiting() == 0
    assert await agenda.unfinished(ADA) == []

    assert await agenda.add(ADA, [due("a")], 11.0) == 1
    assert await agenda.tried(ADA) == 1
    assert await agenda.claim(11.0, LEASE) == ADA


async def test_what_was_on_its_way_does_not_come_back(agenda: Agenda) -> None:
    """Who was in the middle of thinking about a user that is forgotten keeps nothing of it."""
    await agenda.add(ADA, [due("a"), due("b")], 1.0)
    await agenda.intend(ADA, reflection("r", "a"))
    await agenda.forget(ADA)

    assert not await agenda.intend(ADA, reflection("s", "b"))
    await agenda.conclude(ADA, reflection("r", "a", state="applied"))
    await agenda.wake(ADA, 1.0)
    assert await agenda.tried(ADA) == 0
    assert await agenda.count(ADA) == 0
    assert await agenda.claim(1e9, LEASE) is None


async def test_calls_may_run_at_once(agenda: Agenda) -> None:
    """Mixed calls side by side neither fail nor lose anything."""

    async def one(number: int) -> None:
        scope, id = (BOB if number % 2 else ADA), str(number)
        await agenda.add(scope, [due(id, number)], 1.0)
        await agenda.claim(10.0, 0.0)
        if number % 4 < 2:
            assert await agenda.intend(scope, reflection(id, id))
            await agenda.conclude(scope, reflection(id, id, state="applied"))
        await agenda.spend("acme", "2024-02-28", Spent(1, 10))
        if number % 8 == 0:
            assert await agenda.erase(scope, [id]) == 1

    await asyncio.gather(*map(one, range(40)))

    assert await agenda.waiting() == 20
    assert await agenda.spent("acme", "2024-02-28") == Spent(40, 400)
    assert (await agenda.count(ADA), await agenda.count(BOB)) == (20, 30)


async def test_a_closed_agenda_is_unavailable(agenda_of: Opening) -> None:
    """Every call says so, and nothing foreign gets out."""
    async with agenda_of() as agenda:
        pass

    for call in (
        agenda.add(ADA, [due("a")], 1.0),
        agenda.wake(ADA, 1.0),
        agenda.claim(1.0, LEASE),
        agenda.due(ADA, 1),
        agenda.drop(ADA, ["a"]),
        agenda.tried(ADA),
        agenda.intend(ADA, reflection("r", "a")),
        agenda.conclude(ADA, reflection("r", "a")),
        agenda.unfinished(ADA),
        agenda.reflection(ADA, "r"),
        agenda.reflections(ADA),
        agenda.erase(ADA, ["a"]),
        agenda.spend("acme", "2024-02-28", Spent(1, 1)),
        agenda.spent("acme", "2024-02-28"),
        agenda.waiting(),
        agenda.count(ADA),
        agenda.forget(ADA),
        agenda.ping(),
    ):
        with pytest.raises(MemoryUnavailable):
            await call
