"""Backups between a data directory and servers, through real gateways; and one whose server dies in the middle."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.memory.records import Kept
from tests.contracts.samples import ADA, turn
from tests.support.admin import Desk, open_desk
from tests.support.fleet import SECRET
from tests.support.qdrant_server import Node, serving
from tests.support.redis_server import RedisServer


@asynccontextmanager
async def shared_desk(path: Path, server: RedisServer) -> AsyncIterator[Desk]:
    """A gateway that writes too, over this Redis and a stand-in for Qdrant of its own."""
    async with serving(Node(path / "qdrant")) as port:
        servers = {"redis_url": server.url, "qdrant_url": "http://127.0.0.1:6333", "qdrant_grpc_port": port}
        async with open_desk(path / "data", secret=SECRET, **servers) as desk:
            yield desk


async def backup(desk: Desk) -> list[bytes]:
    """The lines, but for the head; in an order that all stores share."""
    answer = await desk.client.get("/admin/backup")
    assert answer.status_code == 200
    return sorted(answer.content.splitlines()[1:])


async def moved(one: Desk, other: Desk) -> None:
    """Everything of the one into the other."""
    lines = (await one.client.get("/admin/backup")).content
    taken = await other.client.post("/admin/restore", content=lines)
    assert taken.status_code == 200, taken.text


async def test_a_backup_moves_between_a_directory_and_servers(tmp_path: Path, server: RedisServer) -> None:
    """There and back without a difference, and it is recalled at every station."""
    stations = []
    async with open_desk(tmp_path / "one") as first:
        await first.chat("ada", "My sister keeps bees in Riga.", session="talk")
        await first.chat("ada", "Where does my sister keep bees?", session="other")
        await first.note("bob", "Prefers answers in Latvian.", pinned=True)
        secret = (await first.issue(label="till"))["secret"]
        stations.append(await backup(first))
        async with shared_desk(tmp_path / "shared", server) as second, open_desk(tmp_path / "two") as third:
            await moved(first, second)
            stations.append(await backup(second))
            await moved(second, third)
            stations.append(await backup(third))
            hits = [(await desk.get("/search", user="ada", q="bees?"))["hits"][0] for desk in (first, second, third)]
            known = await second.client.get("/v1/models", headers={"authorization": f"Bearer {secret}"})

    assert stations[0] == stations[1] == stations[2]
    assert len(stations[0]) == 9
    assert {hit["memory"]["text"] for hit in hits} == {hits[0]["memory"]["text"]}
    assert known.status_code != 401


async def test_there_is_no_snapshot_of_servers(tmp_path: Path, server: RedisServer) -> None:
    """The answer names the tools that there are, in their order."""
    async with shared_desk(tmp_path, server) as desk:
        answer = await desk.client.post("/admin/snapshot")

    told: str = answer.json()["error"]["message"]
    assert answer.status_code == 409
    assert told.index("BGSAVE") < told.index("Qdrant's snapshots")


async def test_a_backup_whose_server_dies_is_cut(tmp_path: Path, server: RedisServer) -> None:
    """Nobody can take it for a whole one: the connection breaks, and the last line is missing."""
    held = bytearray()
    async with shared_desk(tmp_path, server) as desk:
        for first in range(1, 4001, 500):
            turns = [turn(f"t{n}", seq=n, user_text="x" * 4000) for n in range(first, first + 500)]
            await desk.gateway.services.journal.put_back(ADA, [Kept(each, "done") for each in turns])
        with pytest.raises(httpx.RemoteProtocolError):
            async with desk.client.stream("GET", "/admin/backup") as answer:
                async for piece in answer.aiter_raw():
                    if not held:
                        server.kill()
                    held += piece
        server.start()

    *lines, _ = held.splitlines()
    assert answer.status_code == 200
    assert b'{"end"' not in held
    assert {next(iter(json.loads(line))) for line in lines} <= {"mneme", "turn"}
