"""What every MemoryStore promises to those who go through all that is held: by tenant, and by when it was said."""

from gateway.memory.filters import Filter
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Scope
from tests.contracts.samples import ADA, BOB, LOOKALIKES, entry, memory


async def test_tenants_are_told_in_the_order_of_their_names(memories: MemoryStore) -> None:
    """Each once, whatever its name; one of whom nothing is left is none."""
    assert await memories.tenants() == []
    await memories.put([entry(memory(id, scope)) for scope in LOOKALIKES for id in "ab"])
    await memories.put([entry(memory("m", Scope("gone", "ada")))])
    await memories.forget(Scope("gone", "ada"))

    assert await memories.tenants() == sorted({scope.tenant for scope in LOOKALIKES})


async def test_browse_finds_what_was_said_before_a_moment(memories: MemoryStore) -> None:
    """What was said at that very moment was not said before it; other filters add up."""
    await memories.put([entry(memory(f"m{at}", at=at, pinned=at < 2)) for at in (1.0, 2.0, 3.0, 3.5)])
    await memories.put([entry(memory("bob's", BOB, at=1.0))])

    found = (await memories.browse(ADA, Filter(before=3.0))).items
    assert sorted(m.id for m in found) == ["m1.0", "m2.0"]
    assert [m.id for m in (await memories.browse(ADA, Filter(before=3.0, pinned=False))).items] == ["m2.0"]
    assert (await memories.browse(ADA, Filter(before=1.0))).items == ()


async def test_pages_of_what_was_said_before_a_moment_cover_it_once(memories: MemoryStore) -> None:
    """Also while what was shown is deleted, as who makes room does."""
    await memories.put([entry(memory(f"m{at:02}", at=float(at))) for at in range(20)])
    page = await memories.browse(ADA, Filter(before=11.0), limit=3)
    shown = [m.id for m in page.items]
    while page.cursor is not None:
        await memories.delete(ADA, shown)
        page = await memories.browse(ADA, Filter(before=11.0), cursor=page.cursor, limit=3)
        shown += [m.id for m in page.items]

    assert sorted(shown) == [f"m{at:02}" for at in range(11)]
