"""What the Qdrant store asks of a server, in which words, and what becomes of its failures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from qdrant_client import grpc as wire

from gateway.errors import MemoryUnavailable, StoreAway
from gateway.memory.exhaustive import Exhaustive
from gateway.memory.records import Entry, Sparse, Times, Vector
from gateway.memory.stores.points import BODY, scope_key
from gateway.memory.stores.qdrant import Layout, QdrantStore, Server, connect
from gateway.memory.stores.qdrant.points import to_point
from gateway.memory.stores.qdrant.server import answered
from tests.contracts.samples import ADA, BOB, DIMENSION, entry, memory, query, vector
from tests.support.qdrant import store_on
from tests.support.qdrant_server import Node, serving

Call = Callable[[QdrantStore], Awaitable[object]]
CALLS: dict[str, Call] = {
    "put": lambda store: store.put([entry(memory("m"))]),
    "amend": lambda store: store.amend([memory("m")]),
    "search": lambda store: store.search(ADA, query(vector(1), "a"), 5),
    "get": lambda store: store.get(ADA, ["m"]),
    "browse": lambda store: store.browse(ADA),
    "neighbours": lambda store: store.neighbours(ADA, "s", 1, 1, 2),
    "delete": lambda store: store.delete(ADA, ["m"]),
    "forget": lambda store: store.forget(ADA),
    "count": lambda store: store.count(ADA),
    "users": lambda store: store.users("acme"),
    "settled": lambda store: store.settled(),
    "ping": lambda store: store.ping(),
}


@asynccontextmanager
async def opened(path: Path, layout: Layout | None = None) -> AsyncIterator[tuple[Node, QdrantStore]]:
    """A server of the test's own and a store over it."""
    node = Node(path)
    async with serving(node) as port, store_on(port, layout, dimension=DIMENSION) as store:
        yield node, store


def some(count: int) -> list[Entry]:
    """Memories in all directions, said one after the other; no two score alike."""
    dice = np.random.default_rng(7)

    def words() -> Sparse:
        letters = sorted({ord(letter) for letter in dice.choice([*"abcdefghij"], 3)})
        return Sparse(tuple(letters), tuple(dice.uniform(0.5, 2, len(letters)).tolist()))

    def direction() -> Vector:
        return vector(*dice.standard_normal(DIMENSION).tolist())

    return [
        Entry(
            memory(f"m{n:03}", seq=n + 1, at=float(n)),
            {"turn": direction(), "near": direction()},
            {"turn": words(), "near": words()},
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED], ids=lambda c: c.name)
@pytest.mark.parametrize("name", CALLS)
async def test_a_failing_server_is_away(tmp_path: Path, name: str, code: grpc.StatusCode) -> None:
    """Whatever was asked, and with the server's own word for it."""
    async with opened(tmp_path) as (node, store):
        node.failing = code

        with pytest.raises(StoreAway, match=code.name):
            await CALLS[name](store)


async def test_what_the_server_would_refuse_again_is_not_away(tmp_path: Path) -> None:
    """It is MemoryUnavailable, as everything is, and whoever asked is to blame."""
    async with opened(tmp_path) as (node, store):
        node.failing = grpc.StatusCode.INVALID_ARGUMENT

        with pytest.raises(MemoryUnavailable, match="INVALID_ARGUMENT") as failed:
            await store.count(ADA)

    assert not isinstance(failed.value, StoreAway)


@pytest.mark.parametrize("over_grpc", [True, False], ids=["grpc", "rest"])
async def test_a_server_that_is_not_there_is_away(over_grpc: bool, unused_tcp_port: int) -> None:
    """A gateway without its store does not start; it says whom it missed."""
    server = Server(f"http://127.0.0.1:{unused_tcp_port}", grpc=over_grpc, grpc_port=unused_tcp_port)
    opening = QdrantStore.open(connect(server), Layout(), embedder_identity="test", dimension=DIMENSION)

    with pytest.raises(StoreAway, match="Qdrant"):
        async with opening:
            pass


async def test_a_server_that_comes_back_is_used_at_once(tmp_path: Path) -> None:
    """What was written before is there; nobody opens the store anew."""
    first = AsyncExitStack()
    port = await first.enter_async_context(serving(Node(tmp_path)))
    async with store_on(port, dimension=DIMENSION) as store:
        await store.put([entry(memory("m"))])
        await first.aclose()
        with pytest.raises(MemoryUnavailable):
            await store.count(ADA)
        async with serving(Node(tmp_path), port), asyncio.timeout(5):
            assert await soon(store) == 1


async def soon(store: QdrantStore) -> int:
    """How much Ada has, when the store answers."""
    while True:
        try:
            return await store.count(ADA)
        except MemoryUnavailable:
            await asyncio.sleep(0.05)


async def test_an_answer_that_cannot_be_read_is_not_quoted() -> None:
    """What the client could not make sense of may be somebody's text."""

    async def answer() -> None:
        raise ValueError("my sister Ada keeps bees")

    with pytest.raises(MemoryUnavailable) as failed:
        await answered(answer())

    assert "bees" not in failed.value.message
    assert failed.value.__cause__ is None


async def test_only_who_has_the_key_is_answered(tmp_path: Path) -> None:
    """The key goes with every call."""
    with pytest.warns(UserWarning, match="insecure connection"):  # the client's word, also on loopback
        async with serving(Node(tmp_path, key="secret")) as port:
            async with store_on(port, key="secret", dimension=DIMENSION) as store:
                await store.put([entry(memory("m"))])
                assert await store.count(ADA) == 1
            with pytest.raises(MemoryUnavailable, match="UNAUTHENTICATED"):
                async with store_on(port, key="wrong", dimension=DIMENSION):
                    pass


def test_a_server_does_not_show_its_key() -> None:
    """Not where its description ends up in a log."""
    assert "secret" not in repr(Server("http://127.0.0.1", "secret"))


async def test_a_write_is_done_when_the_call_returns(tmp_path: Path) -> None:
    """Waited for, and in the same order everywhere."""
    async with opened(tmp_path) as (node, store):
        await store.put([entry(memory("m"))])
        await store.delete(ADA, ["m"])
        await store.forget(ADA)
        writes = [request for name, request in node.asked if name in ("Upsert", "Delete")]

    assert len(writes) == 3
    assert all(write.wait and write.ordering.type == wire.WriteOrderingType.Strong for write in writes)


async def test_large_batches_go_in_portions(tmp_path: Path) -> None:
    """A server takes no message of any size."""
    async with opened(tmp_path) as (node, store):
        await store.put(some(300))
        sizes = [len(request.points) for name, request in node.asked if name == "Upsert"]
        held = await store.count(ADA)

    assert (sum(sizes), held) == (300, 300)
    assert max(sizes) < 200


async def test_forgetting_is_checked(tmp_path: Path) -> None:
    """A server that says it did, and did not, is not believed."""
    async with opened(tmp_path) as (node, store):
        await store.put([entry(memory("m")), entry(memory("m", BOB))])
        node.pretended = {"Delete"}

        with pytest.raises(MemoryUnavailable, match="still holds 1 of 1"):
            await store.forget(ADA)


async def test_what_is_all_there_is_comes_in_one_call(tmp_path: Path) -> None:
    """With what was said at the times asked for; a scope that holds more takes a second call, and no third."""
    asked = replace(query(vector(1), "abc"), times=Times(((0.0, 5.0),), "last"))
    async with opened(tmp_path) as (node, store):
        await store.put(some(30))
        node.asked.clear()
        assert len(await store.search(ADA, asked, 30)) == 30
        few = [name for name, _ in node.asked]
        node.asked.clear()
        assert len(await store.search(ADA, asked, 5)) > 5
        many = [name for name, _ in node.asked]

    assert (few, many) == (["QueryBatch"], ["QueryBatch"] * 2)


@pytest.mark.parametrize("words", ["", "a", "abc", "abcdefghij"])
@pytest.mark.parametrize("limit", [1, 10, 100])
async def test_a_search_finds_what_a_search_of_everything_finds(tmp_path: Path, limit: int, words: str) -> None:
    """In the same order and with the same signals, as long as there is no graph; and the same beside it."""
    entries, times = some(300), Times(((40.0, 60.0),), "first")
    asked = replace(query(vector(1, 1), words), times=times)
    everything = Exhaustive(DIMENSION)
    everything.put(entries)
    expected = everything.search(asked, limit)
    async with opened(tmp_path) as (_, store):
        await store.put(entries)
        found = await store.search(ADA, asked, limit)

    assert [c.memory.id for c in found[:limit]] == [c.memory.id for c in expected[:limit]]
    signals = {c.memory.id: pytest.approx(dict(c.signals), rel=1e-4) for c in expected}
    assert {c.memory.id: c.signals for c in found} == signals


async def test_nothing_is_asked_beyond_a_scope(tmp_path: Path) -> None:
    """Every read, count, change and deletion carries the user's own filter; users are counted within their tenant."""
    timed = replace(query(vector(1), "a"), times=Times(((0.0, 5.0),), "last"))
    async with opened(tmp_path) as (node, store):
        await store.put(some(20))
        node.asked.clear()
        await store.search(ADA, timed, 2)
        for call in CALLS.values():
            await call(store)
        asked = [(name, request.points if name == "Delete" else request) for name, request in node.asked]
    filters = [request.filter for name, request in asked if name in ("Scroll", "Count", "Delete")]
    filters += [query.filter for name, request in asked if name == "QueryBatch" for query in request.query_points]
    batches = [request.operations for name, request in asked if name == "UpdateBatch"]
    filters += [change.set_payload.points_selector.filter for changes in batches for change in changes]
    facets = [request.filter for name, request in asked if name == "Facet"]

    assert {name for name, _ in asked} >= {"QueryBatch", "Scroll", "Count", "Delete", "Facet", "UpdateBatch"}
    assert {(f.must[0].field.key, f.must[0].field.match.keyword) for f in filters} == {("scope", scope_key(ADA))}
    assert {(f.must[0].field.key, f.must[0].field.match.keyword) for f in facets} == {("tenant", "acme")}


async def test_a_damaged_memory_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others must not suffer for it; the log says that there is one, and not what it says."""
    async with serving(Node(tmp_path)) as port, store_on(port, dimension=DIMENSION) as store:
        await store.put([entry(memory("whole"))])
        damaged = to_point(entry(memory("damaged", text="my sister keeps bees")))
        damaged.payload = {**(damaged.payload or {}), BODY: '{"id":"damaged","text":"my sister keeps b'}
        beside = connect(Server("http://127.0.0.1", grpc_port=port)).client
        await beside.upsert("mneme", [damaged])
        await beside.close()

        assert [c.memory.id for c in await store.search(ADA, query(vector(1)), 5)] == ["whole"]
        assert [m.id for m in (await store.browse(ADA)).items] == ["whole"]
        assert [m.id for m in await store.get(ADA, ["damaged", "whole"])] == ["whole"]
        assert await store.forget(ADA) == 2

    assert "damaged" in caplog.text
    assert "sister" not in caplog.text


async def test_a_collection_that_is_gone_is_noticed(tmp_path: Path) -> None:
    """A server that answers without it is no store."""
    async with opened(tmp_path) as (node, store):
        node.drop("mneme")

        with pytest.raises(MemoryUnavailable, match="no collection"):
            await store.ping()


async def test_settled_waits_for_what_the_server_builds(tmp_path: Path) -> None:
    """And no longer."""
    async with opened(tmp_path) as (node, store):
        node.busy = True
        waiting = asyncio.create_task(store.settled())
        await asyncio.wait({waiting}, timeout=0.2)
        waited = not waiting.done()
        node.busy = False
        async with asyncio.timeout(5):
            await waiting

    assert waited


async def test_with_tenant_shards_every_call_says_whose_shard(tmp_path: Path) -> None:
    """The tenant's own, or the shared one as long as there is none; the stand-in refuses who says nothing."""
    async with opened(tmp_path, Layout(tenant_shards=True)) as (node, store):
        await store.put([entry(memory("m", seq=1)), entry(memory("m", BOB))])
        for call in CALLS.values():
            await call(store)
        asked = [request for name, request in node.asked if name in ("Upsert", "Delete", "Scroll", "Count", "Facet")]
        asked += [query for name, request in node.asked if name == "QueryBatch" for query in request.query_points]

    said = {(r.shard_key_selector.shard_keys[0].keyword, r.shard_key_selector.fallback.keyword) for r in asked}
    assert said == {("acme", "shared")}
