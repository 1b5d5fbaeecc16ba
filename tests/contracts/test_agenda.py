"""What every Agenda promises."""

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import BadRequest
from gateway.memory.reflections import Due, Reflection, Spent
from gateway.memory.thinking import Agenda
from gateway.memory.thoughts import Former, Link, Span, Thought, Use
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, NO_CURSORS
from tests.contracts.thoughts import derived, due, reflection

LEASE = 60.0


async def turns(agenda: Agenda) -> list[str]:
    """ADA's due ones."""
    return [found.turn for found in await agenda.due(ADA, 100)]


async def test_a_due_turn_comes_back_whole(agenda_of: Opening) -> None:
    """Every field survives, whatever characters it holds, also a new start."""
    told = [Due(id, 2**53 - number, f"policy {id}", id) for number, id in enumerate(IDS)]
    async with agenda_of() as agenda:
        assert await agenda.add(ADA, told, 1.0) == len(IDS)
    async with agenda_of() as agenda:
        assert await agenda.due(ADA, 100) == told[::-1]


async def test_due_turns_come_by_seq(agenda: Agenda) -> None:
    """Not in the order in which they were told, and at most as many as asked for; of equals the lower id."""
    for id, seq in (("c", 3), ("b", 10), ("a", 2), ("d", 3)):
        await agenda.add(ADA, [due(id, seq)], 1.0)

    assert await turns(agenda) == ["a", "c", "d", "b"]
    assert [found.turn for found in await agenda.due(ADA, 2)] == ["a", "c"]
    assert await agenda.due(ADA, 0) == []


async def test_a_turn_added_again_is_one_turn(agenda: Agenda) -> None:
    """As it was told last; the number of the user's due turns says so."""
    assert await agenda.add(ADA, [due("a", stamp="old"), due("b", 2)], 1.0) == 2
    assert await agenda.add(ADA, [due("a", 3, policy="scm", stamp="new")], 1.0) == 2

    assert await agenda.due(ADA, 10) == [due("b", 2), due("a", 3, policy="scm", stamp="new")]
    assert await agenda.waiting() == 2


async def test_what_was_thought_about_is_not_due_again(agenda: Agenda) -> None:
    """Under the same stamp; under another it is, until that was thought about too."""
    await agenda.add(ADA, [due("a", stamp="1")], 1.0)
    assert await agenda.intend(ADA, reflection("r", "a"))
    assert await agenda.add(ADA, [due("a", stamp="1")], 1.0) == 0
    assert await agenda.add(ADA, [due("a", stamp="2")], 1.0) == 1
    assert await agenda.intend(ADA, reflection("s", "a"))

    assert await agenda.add(ADA, [due("a", stamp="2")], 1.0) == 0
    assert await agenda.add(ADA, [due("a", stamp="1")], 1.0) == 1


async def test_a_dropped_turn_may_be_added_again(agenda: Agenda) -> None:
    """Nothing came of it; what was thought about under an earlier stamp stays so."""
    await agenda.add(ADA, [due("a"), due("b"), due("kept", stamp="1")], 1.0)
    assert await agenda.intend(ADA, reflection("r", "kept"))
    await agenda.add(ADA, [due("kept", stamp="2")], 1.0)
    await agenda.drop(ADA, ["a", "kept", "nobody", "a"])

    assert await turns(agenda) == ["b"]
    assert await agenda.waiting() == 1
    assert await agenda.add(ADA, [due("a"), due("kept", stamp="1")], 1.0) == 2
    assert await agenda.add(ADA, [due("kept", stamp="2")], 1.0) == 3


async def test_a_user_is_claimed_when_their_time_has_come(agenda: Agenda) -> None:
    """Not before, and the latest telling counts, sooner or later."""
    await agenda.add(ADA, [due("a")], 100.0)
    assert await agenda.claim(99.9, LEASE) is None
    await agenda.add(ADA, [due("b")], 200.0)
    assert await agenda.claim(199.9, LEASE) is None
    await agenda.add(ADA, [due("b")], 50.0)

    assert await agenda.claim(50.0, LEASE) == ADA


async def test_the_longest_waiting_user_is_claimed_first(agenda: Agenda) -> None:
    """Whoever was told first."""
    await agenda.add(ADA, [due("a")], 20.0)
    await agenda.add(BOB, [due("b")], 10.0)

    assert [await agenda.claim(30.0, LEASE) for _ in range(3)] == [BOB, ADA, None]


async def test_a_claimed_user_is_given_again_when_the_lease_is_over(agenda_of: Opening) -> None:
    """Their due turns are still there; a new turn does not end the lease, nor does a new start."""
    async with agenda_of() as agenda:
        await agenda.add(ADA, [due("a")], 1.0)
        assert await agenda.claim(10.0, LEASE) == ADA
        await agenda.add(ADA, [due("b", 2)], 11.0)
    async with agenda_of() as agenda:
        assert await agenda.claim(69.9, LEASE) is None

        assert await agenda.claim(70.0, LEASE) == ADA
        assert await turns(agenda) == ["a", "b"]


async def test_who_is_woken_is_claimed_again(agenda: Agenda) -> None:
    """The lease is over, and their time is the one that was told."""
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.claim(10.0, LEASE)
    await agenda.wake(ADA, 12.0)
    assert await agenda.claim(11.9, LEASE) is None
    assert await agenda.claim(12.0, LEASE) == ADA

    await agenda.wake(ADA, 500.0)
    assert await agenda.claim(499.0, LEASE) is None
    await agenda.add(ADA, [due("b")], 13.0)
    assert await agenda.claim(13.0, LEASE) == ADA


async def test_nobody_is_woken_for_nothing(agenda: Agenda) -> None:
    """Who has nothing due, or no longer has, is not claimed."""
    await agenda.wake(BOB, 1.0)
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.drop(ADA, ["a"])
    await agenda.wake(ADA, 1.0)

    assert await agenda.claim(1e9, LEASE) is None


async def test_what_adds_nothing_wakes_nobody(agenda: Agenda) -> None:
    """A turn that was thought about already does not change when the others' time comes."""
    await agenda.add(ADA, [due("a"), due("b")], 10.0)
    assert await agenda.intend(ADA, reflection("r", "a", state="applied"))
    assert await agenda.add(ADA, [due("a")], 90.0) == 1
    assert await agenda.add(ADA, [], 90.0) == 1

    assert await agenda.claim(10.0, LEASE) == ADA


async def test_a_lease_ends_with_the_work(agenda: Agenda) -> None:
    """When nothing is due and nothing unfinished, the next turn comes at its own time."""
    await agenda.add(ADA, [due("a")], 1.0)
    assert await agenda.claim(10.0, LEASE) == ADA
    assert await agenda.intend(ADA, reflection("r", "a"))
    await agenda.add(ADA, [due("b")], 11.0)
    assert await agenda.claim(12.0, LEASE) is None
    await agenda.drop(ADA, ["b"])
    await agenda.add(ADA, [due("c")], 11.0)
    assert await agenda.claim(12.0, LEASE) is None
    await agenda.drop(ADA, ["c"])
    await agenda.conclude(ADA, reflection("r", "a", state="applied"))

    await agenda.add(ADA, [due("d")], 13.0)
    assert await agenda.claim(13.0, LEASE) == ADA


async def test_tries_are_counted_until_something_is_intended(agenda: Agenda) -> None:
    """In a row; nobody tries what is not there."""
    assert await agenda.tried(ADA) == 0
    await agenda.add(ADA, [due("a"), due("b")], 1.0)
    await agenda.add(BOB, [due("a")], 1.0)

    assert [await agenda.tried(ADA) for _ in range(3)] == [1, 2, 3]
    assert await agenda.tried(BOB) == 1
    await agenda.intend(ADA, reflection("r", "nobody"))
    assert await agenda.tried(ADA) == 4
    await agenda.intend(ADA, reflection("r", "a"))
    assert await agenda.tried(ADA) == 1


async def test_tries_end_with_what_was_tried(agenda: Agenda) -> None:
    """What comes after it has been dropped is tried as often."""
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.tried(ADA)
    await agenda.drop(ADA, ["a"])
    assert await agenda.tried(ADA) == 0
    await agenda.add(ADA, [due("b")], 1.0)

    assert await agenda.tried(ADA) == 1


async def test_a_reflection_comes_back_whole(agenda_of: Opening) -> None:
    """Every field survives, also a new start."""
    before = replace(derived("m", "a\udc80"), former=(Former(1, "was", 2.5),), use=Use(1.5, 2, 3.0))
    span, link = Span("b", "user", 0, 4), Link("n", "causal", 0.5)
    thought = Thought("tim", "r", "title", 0.5, (1.0, 2.0), 3.0, "n", ("tag",), (link,), (span,), "success")
    after = replace(derived("m", "a\udc80", "b"), thought=thought, version=2)
    told = Reflection("r", "tim", 5.25, ("a\udc80", "b"), (before,), (after,), ("why",), "intended", "e", 2, 300)
    async with agenda_of() as agenda:
        await agenda.add(ADA, [due("a\udc80"), due("b", 2)], 1.0)
        assert await agenda.intend(ADA, told)
    async with agenda_of() as agenda:
        assert await agenda.reflection(ADA, "r") == told
        assert await agenda.unfinished(ADA) == [told]
        assert (await agenda.reflections(ADA)).items == (told,)
        assert await agenda.reflection(ADA, "nobody") is None


async def test_intending_takes_the_turns_off(agenda: Agenda) -> None:
    """Those that it is about and no others; one that is named twice is one."""
    await agenda.add(ADA, [due("a"), due("b", 2), due("c", 3)], 1.0)

    assert await agenda.intend(ADA, reflection("r", "a", "c", "a"))
    assert await turns(agenda) == ["b"]
    assert await agenda.waiting() == 1


async def test_intending_what_is_not_due_changes_nothing(agenda: Agenda) -> None:
    """One turn of them is enough, whether it was thought about, dropped, or never known."""
    await agenda.add(ADA, [due("thought"), due("dropped"), due("due")], 1.0)
    assert await agenda.intend(ADA, reflection("first", "thought", state="applied"))
    await agenda.drop(ADA, ["dropped"])

    for turn in ("thought", "dropped", "unknown"):
        assert not await agenda.intend(ADA, reflection("second", "due", turn))
    assert await turns(agenda) == ["due"]
    assert await agenda.reflection(ADA, "second") is None
    assert await agenda.count(ADA) == 3


async def test_a_reflection_needs_no_turns(agenda: Agenda) -> None:
    """It is kept, and while it is unfinished its user can be claimed, from when it was made."""
    assert await agenda.intend(ADA, reflection("r", at=7.0))

    assert await agenda.claim(6.9, LEASE) is None
    assert await agenda.claim(7.0, LEASE) == ADA
    assert await agenda.unfinished(ADA) == [reflection("r", at=7.0)]


async def test_a_turn_that_was_told_otherwise_meanwhile_is_not_taken(agenda: Agenda) -> None:
    """Where the stamps are named under which the turns were looked at, they must still stand under them."""
    await agenda.add(ADA, [due("a", stamp="one"), due("b", stamp="one")], 1.0)
    await agenda.add(ADA, [due("b", stamp="two")], 1.0)

    assert not await agenda.intend(ADA, reflection("r", "a", "b"), ["one", "one"])
    assert len(await agenda.due(ADA, 10)) == 2
    assert await agenda.intend(ADA, reflection("r", "a", "b"), ["one", "two"])


async def test_a_reflection_intended_again_is_one(agenda: Agenda) -> None:
    """Under the same id the later one counts, and is the latest."""
    await agenda.add(ADA, [due("a"), due("b"), due("c")], 1.0)
    await agenda.intend(ADA, reflection("r", "a"))
    await agenda.intend(ADA, reflection("s", "b"))
    await agenda.intend(ADA, reflection("r", "c"))

    assert [one.turns for one in (await agenda.reflections(ADA)).items] == [("c",), ("b",)]
    assert await agenda.erase(ADA, ["a"]) == 0


@pytest.mark.parametrize("state", ["applied", "failed", "undone"])
async def test_what_is_concluded_is_not_unfinished(agenda: Agenda, state: str) -> None:
    """It is kept in its place, as it was told last; the others stay unfinished, earliest first."""
    for id in "abc":
        await agenda.add(ADA, [due(id)], 1.0)
        await agenda.intend(ADA, reflection(id, id))
    last = reflection("b", "b", state=state, after=(derived("m", "b"),), calls=3)
    await agenda.conclude(ADA, last)

    assert [one.id for one in await agenda.unfinished(ADA)] == ["a", "c"]
    assert (await agenda.reflections(ADA)).items == (reflection("c", "c"), last, reflection("a", "a"))


async def test_concluding_what_is_not_there_does_nothing(agenda: Agenda) -> None:
    """It was erased meanwhile: its images must not come back."""
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.intend(ADA, reflection("r", "a"))
    await agenda.erase(ADA, ["a"])
    await agenda.conclude(ADA, reflection("r", "a", state="applied"))

    assert await agenda.reflection(ADA, "r") is None
    assert await agenda.count(ADA) == 0


async def test_a_reflection_may_become_unfinished_again(agenda: Agenda) -> None:
    """Whoever undoes it may die in between, and its user is claimed for that."""
    await agenda.add(ADA, [due("a")], 1.0)
    await agenda.intend(ADA, reflection("r", "a", state="applied"))
    assert await agenda.claim(1e9, LEASE) is None
    await agenda.conclude(ADA, reflection("r", "a", at=50.0))

    assert await agenda.unfinished(ADA) == [reflection("r", "a", at=50.0)]
    assert await agenda.claim(50.0, LEASE) == ADA


async def test_who_left_something_unfinished_is_claimed(agenda_of: Opening) -> None:
    """Though none of their turns is due: its maker may have died. Their time can be changed, and tries count."""
    async with agenda_of() as agenda:
        await agenda.add(ADA, [due("a")], 1.0)
        assert await agenda.claim(10.0, LEASE) == ADA
        await agenda.intend(ADA, reflection("r", "a"))
    async with agenda_of() as agenda:
        assert await agenda.claim(69.0, LEASE) is None
        assert await agenda.claim(70.0, LEASE) == ADA
        assert await agenda.tried(ADA) == 1
        await agenda.wake(ADA, 75.0)
        assert await agenda.claim(75.0, LEASE) == ADA
        await agenda.conclude(ADA, reflection("r", "a", state="applied"))

        assert await agenda.claim(1e9, LEASE) is None


async def test_reflections_come_latest_first_page_by_page(agenda: Agenda) -> None:
    """Every one once, also when others are kept meanwhile."""
    for number in range(7):
        await agenda.intend(ADA, reflection(str(number), state="applied"))
    found, cursor = [], None
    while True:
        page = await agenda.reflections(ADA, cursor=cursor, limit=3)
        found += [one.id for one in page.items]
        if (cursor := page.cursor) is None:
            break

    assert found == ["6", "5", "4", "3", "2", "1", "0"]
    assert (await agenda.reflections(ADA, limit=7)).cursor is None


@pytest.mark.parametrize("cursor", NO_CURSORS)
async def test_a_foreign_cursor_is_refused(agenda: Agenda, cursor: str) -> None:
    """As the caller's mistake."""
    with pytest.raises(BadRequest, match="cursor"):
        await agenda.reflections(ADA, cursor=cursor)


async def test_spending_adds_up(agenda_of: Opening) -> None:
    """Per tenant and day, for a week at least, also over a new start."""
    async with agenda_of() as agenda:
        assert await agenda.spent("acme", "2024-02-28") == Spent()
        assert await agenda.spend("acme", "2024-02-28", Spent(1, 100)) == Spent(1, 100)
        assert await agenda.spend("other\udc80", "2024-02-28", Spent(5, 5)) == Spent(5, 5)
        assert await agenda.spend("acme", "2024-03-05", Spent(7, 2**40)) == Spent(7, 2**40)
    async with agenda_of() as agenda:
        assert await agenda.spend("acme", "2024-02-28", Spent(0, 11)) == Spent(1, 111)
        assert await agenda.spent("acme", "2024-02-28") == Spent(1, 111)
        assert await agenda.spent("other\udc80", "2024-02-28") == Spent(5, 5)
        assert await agenda.spent("acme", "2024-03-05") == Spent(7, 2**40)


async def test_of_many_who_intend_the_same_turns_one_wins(agenda: Agenda) -> None:
    """Also where they have only one of them in common."""
    await agenda.add(ADA, [due("common"), *(due(str(number)) for number in range(20))], 1.0)

    won = await asyncio.gather(
        *(agenda.intend(ADA, reflection(f"r{number}", str(number), "common")) for number in range(20))
    )

    assert won.count(True) == 1
    assert [one.id for one in await agenda.unfinished(ADA)] == [f"r{won.index(True)}"]
    assert await agenda.waiting() == 19


async def test_of_many_who_claim_each_user_is_given_to_one(agenda: Agenda) -> None:
    """And everybody gets somebody, while there are enough."""
    for scope in (ADA, BOB):
        await agenda.add(scope, [due("a")], 1.0)

    given = await asyncio.gather(*(agenda.claim(10.0, LEASE) for _ in range(10)))

    assert sorted(scope.user for scope in given if scope) == ["ada", "bob"]
