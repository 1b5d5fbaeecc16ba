"""What every Journal promises."""

import pytest

from gateway.errors import BadRequest
from gateway.memory.ports import Journal
from gateway.memory.records import Dead, Lag, Turn
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, NO_CURSORS, turn
from tests.support.model import Clock


async def kill(journal: Journal, *ids: str) -> None:
    """Make these pending turns dead letters."""
    for found in await journal.claim(100):
        if found.id in ids:
            assert await journal.fail(found, f"error of {found.id}", attempts=1, delay=0)


async def test_a_turn_comes_back_whole(journal: Journal) -> None:
    """Every field survives, and it gets a running number."""
    told = Turn("id", ADA, "s\0", "chain", 1.25, "said \udc80\n", "replied", "partial", "model", "trace")

    seq = await journal.append(told)

    (found,) = await journal.turns(ADA, ["id"])
    assert seq > 0
    assert found == Turn("id", ADA, "s\0", "chain", 1.25, "said \udc80\n", "replied", "partial", "model", "trace", seq)


async def test_numbers_run_upwards(journal: Journal) -> None:
    """Later turns have greater ones, over all users, also after an erasure."""
    first = await journal.append(turn("a"))
    second = await journal.append(turn("b", BOB))
    await journal.erase(BOB, ["b"])

    assert first < second < await journal.append(turn("c"))


async def test_a_turn_told_twice_is_one_turn(journal: Journal) -> None:
    """The second telling replaces the first and keeps its number."""
    first = await journal.append(turn("id", reply_text="half", ending="partial"))
    second = await journal.append(turn("id", reply_text="whole"))

    assert first == second
    assert [t.reply_text for t in await journal.claim(10)] == ["whole"]
    assert await journal.count(ADA) == 1


async def test_claims_are_oldest_first(journal: Journal) -> None:
    """At most as many as asked for; claiming is no lock."""
    for id in "abc":
        await journal.append(turn(id))

    assert [t.id for t in await journal.claim(2)] == ["a", "b"]
    assert [t.id for t in await journal.claim(5)] == ["a", "b", "c"]


async def test_a_done_turn_is_no_longer_pending(journal: Journal) -> None:
    """It stays as evidence."""
    await journal.append(turn("id"))
    await journal.done(await journal.claim(10))

    assert await journal.claim(10) == []
    assert await journal.pending(ADA) == []
    assert [t.id for t in await journal.turns(ADA, ["id"])] == ["id"]


async def test_a_turn_replaced_while_claimed_stays_pending(journal: Journal) -> None:
    """What was indexed is not what is known now."""
    await journal.append(turn("id", reply_text="old"))
    claimed = await journal.claim(10)
    await journal.append(turn("id", reply_text="new"))
    await journal.done(claimed)

    assert [t.reply_text for t in await journal.claim(10)] == ["new"]


async def test_a_done_turn_told_again_is_pending_again(journal: Journal) -> None:
    """Idempotent ids make indexing it anew harmless."""
    await journal.append(turn("id"))
    await journal.done(await journal.claim(10))
    await journal.append(turn("id", reply_text="more"))

    assert [t.reply_text for t in await journal.claim(10)] == ["more"]


async def test_done_marks_what_it_is_told_and_no_more(journal: Journal) -> None:
    """Others of the same claim stay pending; done twice, or of nothing, does nothing."""
    for id in "ab":
        await journal.append(turn(id))
    first, _ = await journal.claim(10)
    await journal.done([first])
    await journal.done([first])
    await journal.done([])

    assert [t.id for t in await journal.claim(10)] == ["b"]


async def test_a_failed_turn_is_due_later(journal: Journal, clock: Clock) -> None:
    """After the delay, and not before; the others are not held up."""
    for id in "ab":
        await journal.append(turn(id))
    first, _ = await journal.claim(10)

    assert not await journal.fail(first, "why", attempts=3, delay=10)

    assert [t.id for t in await journal.claim(10)] == ["b"]
    clock.now += 10.5
    assert [t.id for t in await journal.claim(10)] == ["a", "b"]


async def test_a_turn_that_fails_too_often_is_dead(journal: Journal) -> None:
    """With how often it was tried and the last error; it is claimed no more."""
    await journal.append(turn("id"))
    results = []
    for number in range(3):
        (claimed,) = await journal.claim(10)
        results.append(await journal.fail(claimed, f"error {number} \udc80\0", attempts=3, delay=0))

    assert results == [False, False, True]
    assert await journal.claim(10) == []
    (letter,) = (await journal.dead()).items
    assert (letter.turn.id, letter.attempts, letter.error[:7]) == ("id", 3, "error 2")


async def test_a_failure_of_the_former_version_does_not_count(journal: Journal) -> None:
    """A turn replaced since it was claimed has not been tried yet."""
    await journal.append(turn("id", reply_text="old"))
    (claimed,) = await journal.claim(10)
    await journal.append(turn("id", reply_text="new"))

    assert not await journal.fail(claimed, "why", attempts=1, delay=100)
    assert [t.reply_text for t in await journal.claim(10)] == ["new"]


async def test_a_dead_turn_told_again_lives(journal: Journal) -> None:
    """With its tries counted anew."""
    await journal.append(turn("id"))
    await kill(journal, "id")
    await journal.append(turn("id"))

    assert (await journal.dead()).items == ()
    (claimed,) = await journal.claim(10)
    assert not await journal.fail(claimed, "why", attempts=2, delay=0)


async def test_replay_makes_the_named_dead_pending(journal: Journal) -> None:
    """Only those, counted once each; they are due at once and have all their tries again."""
    for id in (*"abc", "done"):
        await journal.append(turn(id))
    await kill(journal, "a", "b")
    await journal.done([t for t in await journal.claim(10) if t.id == "done"])

    assert await journal.replay(["b", "b", "done", "nobody"]) == 1

    assert [t.id for t in await journal.claim(10)] == ["b", "c"]
    assert [letter.turn.id for letter in (await journal.dead()).items] == ["a"]


async def test_replay_of_nothing_named_is_of_all(journal: Journal) -> None:
    """Whoever they belong to."""
    await journal.append(turn("a"))
    await journal.append(turn("b", BOB))
    await kill(journal, "a", "b")

    assert await journal.replay([]) == 2
    assert [t.id for t in await journal.claim(10)] == ["a", "b"]


async def test_pages_of_the_dead_cover_each_once(journal: Journal) -> None:
    """Oldest first, also while new ones come in."""
    for id in IDS:
        await journal.append(turn(id))
    await kill(journal, *IDS)
    page = await journal.dead(limit=3)
    shown: list[Dead] = [*page.items]
    while page.cursor is not None:
        await journal.append(turn(f"new {len(shown)}"))
        await kill(journal, f"new {len(shown)}")
        page = await journal.dead(cursor=page.cursor, limit=5)
        shown += page.items

    assert [letter.turn.id for letter in shown][: len(IDS)] == IDS
    assert len(shown) == len({letter.turn.id for letter in shown})


async def test_a_foreign_cursor_is_the_callers_fault(journal: Journal) -> None:
    """BadRequest, not an engine's error."""
    for cursor in NO_CURSORS:
        with pytest.raises(BadRequest):
            await journal.dead(cursor=cursor)


async def test_pending_is_latest_first(journal: Journal) -> None:
    """The scope's own, dead ones included, done ones not."""
    for id in ("done", "dead", "a", "b"):
        await journal.append(turn(id))
    await journal.append(turn("bob's", BOB))
    await journal.done([t for t in await journal.claim(10) if t.id == "done"])
    await kill(journal, "dead")

    assert [t.id for t in await journal.pending(ADA)] == ["b", "a", "dead"]
    assert [t.id for t in await journal.pending(ADA, 2)] == ["b", "a"]


async def test_turns_keep_the_order_asked(journal: Journal) -> None:
    """Any string is an id; unknown ones are left out, one asked twice is answered once."""
    for id in IDS:
        await journal.append(turn(id))

    found = await journal.turns(ADA, [*IDS[::-1], "nobody", IDS[0]])
    assert [t.id for t in found] == IDS[::-1]


async def test_lag_says_how_far_behind(journal: Journal, clock: Clock) -> None:
    """Waiting and dead turns, and the age of the oldest waiting one."""
    assert await journal.lag() == Lag(0, 0, 0.0)
    for id in "abc":
        await journal.append(turn(id))
        clock.now += 10
    await kill(journal, "a")

    assert await journal.lag() == Lag(2, 1, 20.0)


async def test_a_turn_told_again_waits_since_then(journal: Journal, clock: Clock) -> None:
    """Its age starts anew once it had been indexed, and goes on while it had not."""
    await journal.append(turn("id"))
    await journal.done(await journal.claim(10))
    clock.now += 100
    await journal.append(turn("id"))
    clock.now += 10
    await journal.append(turn("id"))

    assert await journal.lag() == Lag(1, 0, 10.0)


async def test_everything_survives_reopening(journal_of: Opening, clock: Clock) -> None:
    """Pending, done, dead and delayed turns are what they were."""
    async with journal_of() as journal:
        for id in ("done", "dead", "delayed", "pending"):
            await journal.append(turn(id))
        claimed = {t.id: t for t in await journal.claim(10)}
        await journal.done([claimed["done"]])
        await journal.fail(claimed["dead"], "why", attempts=1, delay=0)
        await journal.fail(claimed["delayed"], "why", attempts=9, delay=10)
    async with journal_of() as journal:
        assert [t.id for t in await journal.claim(10)] == ["pending"]
        assert [letter.error for letter in (await journal.dead()).items] == ["why"]
        clock.now += 11
        assert [t.id for t in await journal.claim(10)] == ["delayed", "pending"]
