"""/admin/snapshot: a copy of a directory in use that is one itself; nothing that was done is missing in it."""

import asyncio
import stat
from pathlib import Path

import pytest

from gateway.memory.records import Kept, Page, Scope
from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def snapshot(desk: Desk) -> dict[str, object]:
    """A new one, as the gateway tells it."""
    answer = await desk.client.post("/admin/snapshot")
    assert answer.status_code == 201, answer.text
    told: dict[str, object] = answer.json()
    return told


async def turns(desk: Desk, scope: Scope) -> list[Kept]:
    """All of the user's, as the journal holds them."""
    journal = desk.gateway.services.journal
    page: Page[Kept] = await journal.kept(scope, limit=200)
    found = [*page.items]
    while page.cursor is not None:
        page = await journal.kept(scope, cursor=page.cursor, limit=200)
        found += page.items
    return found


def looked_at(path: Path) -> tuple[set[str], set[int], int]:
    """The names of a snapshot's files, the modes of its directory and of the one above, and its size."""
    files = [file for file in path.rglob("*") if file.is_file()]
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)}
    return {str(file.relative_to(path)) for file in files}, modes, sum(file.stat().st_size for file in files)


async def test_it_opens_as_a_data_directory(desk: Desk, user: str) -> None:
    """With everything: memories, conversations, keys, and the secret, so that a certificate is genuine there too."""
    await desk.chat(user, "My sister keeps bees in Riga.", session="talk")
    secret = (await desk.issue(label="till"))["secret"]
    certificate = await desk.post("/forget", user="nobody")
    told = await snapshot(desk)
    async with open_desk(Path(str(told["path"]))) as other:
        hits = (await other.get("/search", user=user, q="Where does my sister keep bees?"))["hits"]
        sessions = (await other.get("/sessions", user=user))["items"]
        known = await other.client.get("/v1/models", headers={"authorization": f"Bearer {secret}"})
        verdict = await other.post("/forget/verify", certificate)

    assert hits[0]["memory"]["text"] == "My sister keeps bees in Riga."
    assert [session["session"] for session in sessions] == ["talk"]
    assert known.status_code != 401
    assert verdict["genuine"]


async def test_it_is_its_owners_only_and_holds_no_more_than_it_must(desk: Desk) -> None:
    """The embedder's files are built anew where they are missing; locks are not copied."""
    told = await snapshot(desk)
    path = Path(str(told["path"]))
    names, modes, size = looked_at(path)

    assert path.parent.name == "snapshots"
    assert modes == {0o700}
    assert {"mneme.db", "secret", "memories/stamp.json", "memories/shard/edge_config.json"} <= names
    assert {name.partition("/")[0] for name in names} == {"mneme.db", "memories", "secret"}
    assert "memories/lock" not in names
    assert told["bytes"] == size


async def test_it_tells_how_much_it_holds(desk: Desk, user: str) -> None:
    """Turns and memories."""
    before = (await snapshot(desk))["held"]
    await desk.chat(user, "My sister keeps bees in Riga.", session="talk")
    after = (await snapshot(desk))["held"]

    assert isinstance(before, dict)
    assert after == {"mneme.db": before["mneme.db"] + 1, "memories": before["memories"] + 1}


async def test_one_is_taken_at_a_time(desk: Desk) -> None:
    """Another one meanwhile is a conflict."""
    answers = await asyncio.gather(*(desk.client.post("/admin/snapshot") for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


@pytest.mark.slow
async def test_nothing_done_is_missing_in_one_that_is_taken_under_load(tmp_path: Path) -> None:
    """Users speak all the while; in every snapshot a turn that was indexed has its memory, one that was not gets it."""
    scope = Scope("acme", "ada")
    async with open_desk(tmp_path / "data") as desk:
        taken: list[Path] = []
        speaking = asyncio.create_task(speak(desk, scope.user, taken))
        for _ in range(3):
            await asyncio.sleep(0.5)
            taken.append(Path(str((await snapshot(desk))["path"])))
        said = await speaking
        missing = [turn for turn in await turns(desk, scope) if turn.turn.user_text not in said]
    sizes = []
    for path in taken:
        async with open_desk(path) as opened:
            kept = await turns(opened, scope)
            await opened.gateway.indexed()
            memories = await opened.gateway.services.memories.get(scope, [each.turn.id for each in kept])
        assert {memory.id for memory in memories} == {each.turn.id for each in kept}
        sizes.append(len(kept))

    assert missing == []
    assert 0 < sizes[0] < sizes[1] < sizes[2] <= len(said)


async def speak(desk: Desk, user: str, taken: list[Path]) -> set[str]:
    """Say one thing after the other, three at a time, until three snapshots were taken; what was said."""
    said: set[str] = set()

    async def alone(speaker: int) -> None:
        number = 0
        while len(taken) < 3:
            text = f"Fact {number} of speaker {speaker}."
            await desk.client.post(
                "/v1/chat/completions",
                json={"model": "m", "messages": [{"role": "user", "content": text}]},
                headers={
                    "authorization": "Bearer acme-key",
                    "x-mneme-user": user,
                    "x-mneme-session": f"{speaker} {number}",
                },
            )
            said.add(text)
            number += 1

    async with asyncio.TaskGroup() as speakers:
        for speaker in range(3):
            speakers.create_task(alone(speaker))
    return said
