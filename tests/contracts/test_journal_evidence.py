"""What every Journal promises to those who go through all that it holds: who has turns, all of one user's, what is put
back from another journal, and what is old enough to go."""

from typing import Any

import pytest

from gateway.errors import BadRequest, MemoryUnavailable
from gateway.memory.ports import Journal
from gateway.memory.records import Kept, Lag, Page, Scope, Turn
from tests.contracts.conftest import Opening
from tests.contracts.samples import ADA, BOB, IDS, LOOKALIKES, NO_CURSORS, turn
from tests.support.model import Clock


async def users(journal: Journal, limit: int = 50) -> list[Scope]:
    """All pages."""
    page = await journal.scopes(limit=limit)
    found = [*page.items]
    while page.cursor is not None:
        page = await journal.scopes(cursor=page.cursor, limit=limit)
        found += page.items
    return found


async def everything(journal: Journal, scope: Scope = ADA, limit: int = 50) -> list[Kept]:
    """All pages."""
    page = await journal.kept(scope, limit=limit)
    found = [*page.items]
    while page.cursor is not None:
        page = await journal.kept(scope, cursor=page.cursor, limit=limit)
        found += page.items
    return found


async def settle(journal: Journal, *, done: str = "", dead: str = "", failed: str = "") -> None:
    """Index these turns, and fail those; ids are single letters."""
    claimed = await journal.claim(100)
    await journal.done([t for t in claimed if t.id in done])
    for found in claimed:
        if found.id in dead or found.id in failed:
            await journal.fail(found, f"why {found.id}", attempts=1 if found.id in dead else 9, delay=100)


async def test_who_has_turns_is_listed_once(journal: Journal) -> None:
    """Whatever the state of their turns, in an order that pages do not change."""
    assert await users(journal) == []
    for scope in LOOKALIKES:
        for id in "ab":
            await journal.append(turn(id, scope))
    await settle(journal, done="a", dead="b")

    found = await users(journal)
    assert sorted(found, key=repr) == sorted(LOOKALIKES, key=repr)
    for limit in (1, 3, len(LOOKALIKES), 100):
        assert await users(journal, limit) == found


async def test_who_has_turns_is_listed_by_tenant(journal: Journal) -> None:
    """Of a tenant exactly its own, page by page; a name that only begins like another is another."""
    for scope in LOOKALIKES:
        await journal.append(turn("id", scope))

    for tenant in {"nobody", *(scope.tenant for scope in LOOKALIKES)}:
        page = await journal.scopes(tenant=tenant, limit=3)
        found = [*page.items]
        while page.cursor is not None:
            page = await journal.scopes(tenant=tenant, cursor=page.cursor, limit=3)
            found += page.items
        expected = [scope for scope in LOOKALIKES if scope.tenant == tenant]
        assert sorted(found, key=repr) == sorted(expected, key=repr)


async def test_who_has_no_turn_left_is_not_listed(journal: Journal) -> None:
    """Erased, expired or forgotten; who speaks again is."""
    gone = [Scope("acme", name) for name in ("erased", "expired", "forgotten")]
    for scope in (*gone, ADA):
        for id in "ab":
            await journal.append(turn(id, scope))
    await settle(journal, done="ab")
    await journal.erase(gone[0], ["a", "b", "nobody"])
    await journal.expire(gone[1], 2.0)
    await journal.forget(gone[2])
    await journal.erase(ADA, ["a"])

    assert await users(journal) == [ADA]
    await journal.append(turn("c", gone[2]))
    assert {*await users(journal)} == {ADA, gone[2]}


async def test_listing_goes_on_while_users_come_and_go(journal: Journal) -> None:
    """Who is there all the time is listed exactly once."""
    stay = [Scope("acme", f"user {number:02}") for number in range(0, 20, 2)]
    for scope in stay:
        await journal.append(turn("id", scope))
    page = await journal.scopes(limit=3)
    shown = [*page.items]
    while page.cursor is not None:
        await journal.append(turn("id", Scope("acme", f"user {2 * len(shown) + 1:02}")))
        await journal.append(turn("id", Scope("acme", "user 00 too")))
        page = await journal.scopes(cursor=page.cursor, limit=3)
        await journal.forget(Scope("acme", "user 00 too"))
        shown += page.items

    assert [scope for scope in shown if scope in stay] == sorted(stay, key=lambda scope: scope.user)
    assert len(shown) == len({*shown})


async def test_all_of_a_users_turns_are_told_with_their_state(journal: Journal) -> None:
    """By seq; with the tries and the last error of those that failed; nobody else's."""
    for id in "abcd":
        await journal.append(turn(id))
    await journal.append(turn("bob's", BOB))
    await settle(journal, done="a", dead="b", failed="c")

    told = await everything(journal)
    assert [(k.turn.id, k.state, k.attempts, k.error) for k in told] == [
        ("a", "done", 0, ""),
        ("b", "dead", 1, "why b"),
        ("c", "pending", 1, "why c"),
        ("d", "pending", 0, ""),
    ]
    assert [k.turn for k in told] == await journal.turns(ADA, [*"abcd"])


async def test_pages_of_a_users_turns_cover_each_once(journal: Journal) -> None:
    """Also while new ones come in, and whatever their ids."""
    for id in IDS:
        await journal.append(turn(id))

    for limit in (1, 3, len(IDS), 100):
        assert [k.turn.id for k in await everything(journal, limit=limit)] == IDS
    page = await journal.kept(ADA, limit=5)
    shown = [*page.items]
    while page.cursor is not None:
        await journal.append(turn(f"new {len(shown)}"))
        page = await journal.kept(ADA, cursor=page.cursor, limit=5)
        shown += page.items
    assert [k.turn.id for k in shown][: len(IDS)] == IDS
    assert len(shown) == len({k.turn.id for k in shown})


async def test_a_foreign_cursor_is_the_callers_fault(journal: Journal) -> None:
    """BadRequest, from both lists."""
    for cursor in NO_CURSORS:
        with pytest.raises(BadRequest):
            await journal.scopes(cursor=cursor)
    for cursor in NO_CURSORS[:9]:
        with pytest.raises(BadRequest):
            await journal.kept(ADA, cursor=cursor)


async def test_what_is_put_back_is_as_it_was(journal_of: Opening, clock: Clock) -> None:
    """Turn, number, state, error and tries, also after reopening; what was delayed is due at once."""
    whole = Turn("p", ADA, "s\0", "chain", 1.25, "said \udc80\n", "replied", "partial", "model", "trace", 40)
    told = [
        Kept(turn("a", seq=7), "done"),
        Kept(turn("b", seq=12), "dead", "why", 5),
        Kept(turn("c", seq=30), "pending", "not yet", 2),
        Kept(whole, "pending"),
    ]
    async with journal_of() as journal:
        await journal.put_back(ADA, told)
        assert await everything(journal) == told
        assert await users(journal) == [ADA]
        clock.now += 10
        assert await journal.lag() == Lag(2, 1, 10.0)
    async with journal_of() as journal:
        assert await everything(journal) == told
        assert [t.id for t in await journal.claim(10)] == ["c", "p"]
        assert [(d.turn.seq, d.attempts, d.error) for d in (await journal.dead()).items] == [(12, 5, "why")]


async def test_numbers_go_on_beyond_what_was_put_back(journal: Journal) -> None:
    """Though it came in no order."""
    await journal.put_back(ADA, [Kept(turn("b", seq=700), "done"), Kept(turn("a", seq=3), "done")])

    assert await journal.append(turn("c")) > 700
    assert [k.turn.id for k in await everything(journal)] == ["a", "b", "c"]


async def test_a_known_turn_is_not_put_back(journal: Journal) -> None:
    """What is told here counts, and putting back twice is putting back once."""
    await journal.append(turn("a", reply_text="told here"))
    old = [Kept(turn("a", reply_text="old", seq=90), "done"), Kept(turn("b", seq=91), "done")]
    for _ in range(2):
        await journal.put_back(ADA, old)

    assert [(k.turn.reply_text, k.state) for k in await everything(journal)] == [
        ("told here", "pending"),
        ("reply", "done"),
    ]


async def test_a_turn_whose_number_is_taken_is_put_back_all_the_same(journal: Journal) -> None:
    """Somebody spoke before all was put back: both wait, and both are told apart."""
    seq = await journal.append(turn("new", BOB))
    await journal.put_back(ADA, [Kept(turn("old", seq=seq), "pending")])
    claimed = await journal.claim(10)

    assert {t.id for t in claimed} == {"new", "old"}
    assert len({t.seq for t in claimed}) == 2
    assert (await journal.lag()).pending == 2
    await journal.done([t for t in claimed if t.id == "old"])
    assert [t.id for t in await journal.claim(10)] == ["new"]


async def test_a_put_back_turn_lives_on(journal: Journal) -> None:
    """Indexed ones can be told again, dead ones replayed, and each erased."""
    states: list[Any] = ["done", "dead", "pending"]
    await journal.put_back(ADA, [Kept(turn(state, seq=n), state, "", 0) for n, state in enumerate(states, 1)])
    await journal.append(turn("done", reply_text="more"))

    assert await journal.replay([]) == 1
    assert {t.id for t in await journal.claim(10)} == {*states}
    assert await journal.erase(ADA, states) == 3


async def test_only_what_was_indexed_and_said_before_expires(journal: Journal) -> None:
    """What waits or is dead stays, however old, and so does what was said at that very moment; nobody else's goes."""
    for id, at in {"a": 1.0, "b": 2.0, "c": 3.0, "d": 1.0, "e": 1.0, "f": 2.5}.items():
        await journal.append(turn(id, at=at))
    await journal.append(turn("a", BOB))
    await settle(journal, done="abcf", dead="d")

    assert await journal.expire(ADA, 2.5) == 2
    assert [k.turn.id for k in await everything(journal)] == ["c", "d", "e", "f"]
    assert await journal.expire(ADA, 2.5) == 0
    assert await journal.count(BOB) == 1


async def test_a_turn_that_was_told_again_does_not_expire(journal: Journal) -> None:
    """It waits again, though its first telling was indexed long ago."""
    await journal.append(turn("a", at=1.0))
    await settle(journal, done="a")
    await journal.append(turn("a", at=9.0))

    assert await journal.expire(ADA, 5.0) == 0
    assert [t.id for t in await journal.claim(10)] == ["a"]


async def test_spared_turns_do_not_expire(journal: Journal) -> None:
    """Until they are spared no more."""
    for id in IDS:
        await journal.append(turn(id))
    await journal.done(await journal.claim(100))

    assert await journal.expire(ADA, 2.0, sparing=IDS[::2]) == len(IDS[1::2])
    assert [k.turn.id for k in await everything(journal)] == IDS[::2]
    assert await journal.expire(ADA, 2.0) == len(IDS[::2])


async def test_what_is_told_late_expires_at_the_next_look(journal: Journal) -> None:
    """A look that found nothing old does not hide what was said long ago and is told after it."""
    for id, at in {"a": 50.0, "b": 60.0}.items():
        await journal.append(turn(id, at=at))
    await settle(journal, done="ab")
    assert await journal.expire(ADA, 10.0) == 0
    await journal.append(turn("c", at=5.0))
    await settle(journal, done="c")

    assert await journal.expire(ADA, 10.0) == 1
    assert await journal.expire(ADA, 55.0) == 1
    assert await journal.expire(ADA, 65.0) == 1
    assert await users(journal) == []


async def test_many_turns_expire_at_once(journal: Journal) -> None:
    """More than a store looks at in one go."""
    for number in range(1200):
        await journal.append(turn(f"t{number:04}", at=float(number)))
    while claimed := await journal.claim(1000):
        await journal.done(claimed)

    assert await journal.expire(ADA, 1100.0) == 1100
    assert [k.turn.at for k in await everything(journal)] == [float(number) for number in range(1100, 1200)]


async def test_a_closed_journal_is_unavailable(journal_of: Opening) -> None:
    """Every call says so."""
    async with journal_of() as journal:
        pass

    for call in (
        journal.scopes(),
        journal.kept(ADA),
        journal.put_back(ADA, [Kept(turn("id", seq=1), "done")]),
        journal.expire(ADA, 1.0),
    ):
        with pytest.raises(MemoryUnavailable):
            await call


async def test_a_page_of_nobody_is_empty(journal: Journal) -> None:
    """And the last one."""
    assert await journal.kept(ADA) == Page(())
    assert await journal.scopes() == Page(())
