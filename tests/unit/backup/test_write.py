"""What a backup holds of what changes, or fails, while it is written."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from gateway.backup.lines import Counts, Watch, decode
from gateway.backup.write import written
from gateway.errors import BadRequest, MemoryUnavailable
from gateway.memory.records import Kept, Memory, Scope
from tests.contracts.samples import ADA, BOB, memory, turn
from tests.support.installation import Installation, modelled
from tests.support.model import ModelMemories

Deed = Callable[[], Coroutine[Any, Any, Any]]
CARL = Scope("acme", "carl")


@pytest.fixture
async def house() -> AsyncIterator[Installation]:
    """A user of three hundred turns that are indexed, one of one, and one of a memory and no turn."""
    async with modelled() as installation:
        journal = installation.curator.journal
        await journal.put_back(ADA, [Kept(turn(f"t{number}", seq=number), "done") for number in range(1, 301)])
        await installation.curator.add([memory(f"t{number}", seq=number) for number in range(1, 301)])
        await journal.put_back(BOB, [Kept(turn("b", BOB, seq=301), "done")])
        await installation.curator.add([memory("b", BOB, seq=301), memory("c", CARL)])
        yield installation


async def read(house: Installation, when: str, deed: Deed) -> list[Any]:
    """The records of a backup; `deed` is done once, after the first page of this kind."""
    records: list[Any] = []
    done = False
    async for piece in written(house.curator, house.registry):
        records += map(decode, piece.splitlines())
        if not done and piece.startswith(f'{{"{when}"'.encode()):
            done = True
            await deed()
    assert done
    return records


def turns(records: list[Any]) -> dict[str, str]:
    """The states of the turns by id."""
    return {record.turn.id: record.state for record in records if isinstance(record, Kept)}


async def test_everything_is_told_once(house: Installation) -> None:
    """However many pages it is."""

    async def nothing() -> None:
        pass

    records = await read(house, "turn", nothing)
    ids = Counter((type(r), r.turn.id if isinstance(r, Kept) else r.id) for r in records[1:-1])

    assert len(ids) == 301 + 302
    assert {*ids.values()} == {1}
    assert records[-1] == Counts(turns=301, memories=302)


async def test_what_is_said_meanwhile_is_in_it_as_pending(house: Installation) -> None:
    """Though it was indexed: its memory may have come where the walk had already been."""

    async def speak() -> None:
        await house.curator.journal.append(turn("late"))
        await house.curator.index(10)

    records = await read(house, "memory", speak)
    states = turns(records)

    assert (await house.curator.journal.lag()).pending == 0
    assert (states["late"], states["t300"]) == ("pending", "done")
    assert records[-1].turns == 302


async def test_what_is_indexed_meanwhile_waits_in_it(house: Installation) -> None:
    """A restore indexes it again."""
    await house.curator.journal.append(turn("waits"))

    async def index() -> None:
        await house.curator.index(10)

    assert turns(await read(house, "memory", index))["waits"] == "pending"


async def test_nothing_done_in_it_lacks_its_memory(house: Installation) -> None:
    """Wherever the walk is when a turn is said and indexed."""
    said = iter(range(1000))

    async def speak() -> None:
        await house.curator.journal.append(turn(f"late {next(said)}", ADA))
        await house.curator.index(10)

    for when in ("mneme", "turn", "memory"):
        records = await read(house, when, speak)
        held = {record.id for record in records if isinstance(record, Memory)}
        assert {id for id, state in turns(records).items() if state == "done"} <= held


async def test_who_is_forgotten_meanwhile_spoils_nothing(house: Installation) -> None:
    """What was told of them by then is in it, and the counts are true."""

    async def forget() -> None:
        await house.curator.forget(ADA)

    records = await read(house, "memory", forget)

    assert records[-1].turns == len([r for r in records if isinstance(r, Kept)])
    assert records[-1].memories == len([r for r in records if isinstance(r, Memory)])
    assert [r.id for r in records if isinstance(r, Memory) and r.scope == BOB] == ["b"]


async def test_who_speaks_for_the_first_time_is_told_once(house: Installation) -> None:
    """A user of whom there were only memories, and has been told of already."""

    async def speak() -> None:
        await house.curator.journal.append(turn("first", CARL))

    records = await read(house, "memory", speak)

    assert [r.id for r in records if isinstance(r, Memory) and r.scope == CARL] == ["c"]


async def test_a_store_that_fails_leaves_no_last_line(house: Installation) -> None:
    """What came by then is no whole backup, and whoever watched it knows."""
    store, watch = house.curator.memories, Watch()
    assert isinstance(store, ModelMemories)
    with pytest.raises(MemoryUnavailable):
        async for piece in written(house.curator, house.registry):
            watch.see(piece)
            store.alive = not piece.startswith(b'{"memory"')

    with pytest.raises(BadRequest, match="The last line is missing"):
        watch.counts()


async def test_a_watch_knows_a_whole_backup(house: Installation) -> None:
    """In whatever pieces it passes; and one without its last byte is none."""
    lines = b"".join(await house.backup())
    for size in (1000, 70_000, len(lines)):
        watch = Watch()
        for at in range(0, len(lines), size):
            watch.see(lines[at : at + size])
        assert watch.counts() == Counts(turns=301, memories=302)
    watch = Watch()
    watch.see(lines[:-1])
    with pytest.raises(BadRequest):
        watch.counts()
    watch.see(b"\n")
    assert watch.counts().turns == 301
