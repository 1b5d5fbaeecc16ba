"""What every list of indexes promises: who there is, whose vectors they have, and which may lack something."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.memory.ports import Indexes
from gateway.memory.records import Standing
from gateway.memory.stores.edge import Directories, EdgeStore
from gateway.memory.stores.naming import suffixed
from gateway.memory.stores.qdrant import Collections, Layout, Server, connect
from tests.contracts.samples import ADA, DIMENSION, entry, memory
from tests.support.model_indexes import ModelIndexes
from tests.support.qdrant import store_on
from tests.support.qdrant_server import Node, serving

WORDS, OTHERS = "words", "http:others"


@dataclass(frozen=True)
class Place:
    """The list, anew from where it is kept, and how an index comes about. What is made holds one memory."""

    listed: Callable[[], Indexes]
    make: Callable[[str, str], Awaitable[object]]


@pytest.fixture(params=["model", "edge", "qdrant"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """One without any index."""
    if request.param == "model":
        model = ModelIndexes("memories")

        async def note(name: str, embedder: str) -> None:
            model.made(name, embedder)

        yield Place(lambda: model, note)
    elif request.param == "edge":

        async def open_edge(name: str, embedder: str) -> None:
            async with EdgeStore.open(tmp_path / name, embedder_identity=embedder, dimension=DIMENSION) as store:
                await store.put([entry(memory("m"))])

        yield Place(lambda: Directories(tmp_path), open_edge)
    else:
        async with serving(Node(tmp_path)) as port:
            connection = connect(Server("http://127.0.0.1", grpc_port=port))

            async def open_collection(name: str, embedder: str) -> None:
                async with store_on(port, Layout(name), identity=embedder, dimension=DIMENSION) as store:
                    await store.put([entry(memory("m"))])

            yield Place(lambda: Collections(connection, "memories"), open_collection)
            await connection.close()


async def test_at_first_there_is_none(place: Place) -> None:
    """Nothing was opened yet."""
    assert await place.listed().found() == []


async def test_what_was_opened_is_found(place: Place) -> None:
    """The first one and an embedder's own, by name; they hold everything."""
    listed = place.listed()
    await place.make(listed.plain, WORDS)
    await place.make(suffixed(listed.plain, OTHERS), OTHERS)

    assert await listed.found() == [
        Standing("memories", WORDS),
        Standing(suffixed("memories", OTHERS), OTHERS),
    ]


async def test_a_mark_stays_until_that_mark_is_taken_off(place: Place) -> None:
    """Every mark is a new one, so that who verified cannot take off what was set after it had begun."""
    await place.make("memories", WORDS)
    old = await place.listed().fall_behind("memories")
    new = await place.listed().fall_behind("memories")

    assert old and new and old != new
    assert not await place.listed().catch_up("memories", old)
    assert not await place.listed().catch_up("memories", "")
    assert await place.listed().found() == [Standing("memories", WORDS, new)]
    assert await place.listed().catch_up("memories", new)
    assert await place.listed().found() == [Standing("memories", WORDS)]


async def test_what_was_never_behind_has_caught_up(place: Place) -> None:
    """With no mark; one that was taken off meanwhile is no longer there to be taken off."""
    await place.make("memories", WORDS)

    assert await place.listed().catch_up("memories", "")
    assert not await place.listed().catch_up("memories", "a mark")


async def test_opening_leaves_the_mark(place: Place) -> None:
    """Whoever writes an index that is behind has not filled it thereby."""
    await place.make("memories", WORDS)
    mark = await place.listed().fall_behind("memories")
    await place.make("memories", WORDS)

    assert await place.listed().found() == [Standing("memories", WORDS, mark)]


async def test_what_is_dropped_is_gone(place: Place) -> None:
    """And the others are not."""
    other = suffixed("memories", OTHERS)
    await place.make("memories", WORDS)
    await place.make(other, OTHERS)
    await place.listed().fall_behind("memories")

    await place.listed().drop("memories")

    assert await place.listed().found() == [Standing(other, OTHERS)]
    await place.make("memories", WORDS)
    assert Standing("memories", WORDS) in await place.listed().found()


@pytest.mark.parametrize("kind", ["edge", "qdrant"])
async def test_what_is_dropped_holds_nothing_when_it_is_made_anew(kind: str, tmp_path: Path) -> None:
    """Neither a file nor a point is left."""
    if kind == "edge":
        async with EdgeStore.open(tmp_path / "memories", embedder_identity=WORDS, dimension=DIMENSION) as store:
            await store.put([entry(memory("m"))])
        await Directories(tmp_path).drop("memories")
        assert not (tmp_path / "memories").exists()
        return
    async with serving(Node(tmp_path)) as port:
        async with store_on(port, dimension=DIMENSION) as filled:
            await filled.put([entry(memory("m"))])
        connection = connect(Server("http://127.0.0.1", grpc_port=port))
        await Collections(connection, "mneme").drop("mneme")
        await connection.close()
        async with store_on(port, dimension=DIMENSION) as anew:
            assert await anew.count(ADA) == 0


@pytest.mark.parametrize("place", ["edge", "qdrant"], indirect=True)
@pytest.mark.parametrize(
    ("name", "embedder"),
    [
        ("memories-backup", WORDS),
        ("memories2", WORDS),
        (suffixed("memories-staging", OTHERS), OTHERS),
        (suffixed("memories", WORDS), OTHERS),
        ("other", WORDS),
    ],
)
async def test_what_another_installation_has_is_not_ours(place: Place, name: str, embedder: str) -> None:
    """A name that only begins like ours, or that another embedder's index would have."""
    await place.make(name, embedder)

    assert await place.listed().found() == []
