"""/admin/journal: what the writer could not index is shown, and tried again on demand."""

import asyncio
import uuid

import pytest

from gateway.memory.records import Scope, Turn
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def poison(desk: Desk, user: str, count: int) -> list[str]:
    """Dead letters: turns that no policy can keep, because their ids are no UUIDs; each failed for the last time."""
    journal = desk.gateway.services.journal
    ids = [f"poison-{uuid.uuid4()}" for _ in range(count)]
    for id in ids:
        turn = Turn(id, Scope("acme", user), "s", "c", 1.0, "word " * 500, "reply")
        await journal.append(turn)
        (stored,) = await journal.turns(turn.scope, [id])
        await journal.claim(1000)
        # The writer may have come first; then it is tried again when it is due.
        while not await journal.fail(stored, "it is poison", attempts=1, delay=0.0):
            await asyncio.sleep(0.05)
            await journal.claim(1000)
    return ids


async def test_dead_letters_are_told_page_by_page(desk: Desk, user: str) -> None:
    """Each with its turn, its tries and the reason."""
    ids = await poison(desk, user, 5)
    pages = await desk.pages("/journal/dead", limit=2)
    letters = [letter for page in pages for letter in page if letter["turn"]["id"] in ids]

    assert [letter["turn"]["id"] for letter in letters] == ids
    assert {letter["error"] for letter in letters} == {"it is poison"}
    assert len(pages) > 2


async def test_the_state_counts_dead_letters(desk: Desk, user: str) -> None:
    """The journal's state and the list agree."""
    before = (await desk.get("/journal"))["dead"]
    await poison(desk, user, 2)

    assert (await desk.get("/journal"))["dead"] == before + 2


async def test_named_letters_are_replayed(desk: Desk, user: str) -> None:
    """Only those become pending again."""
    ids = await poison(desk, user, 3)
    replayed = await desk.post("/journal/replay", {"ids": ids[:2]})
    dead = {letter["turn"]["id"] for page in await desk.pages("/journal/dead") for letter in page}

    assert replayed == {"replayed": 2}
    assert dead & set(ids) == {ids[2]}


async def test_all_letters_are_replayed_when_asked(desk: Desk, user: str) -> None:
    """All of them, and only on the explicit word."""
    await poison(desk, user, 2)
    dead = (await desk.get("/journal"))["dead"]

    assert await desk.post("/journal/replay", {"all": True}) == {"replayed": dead}
    assert (await desk.get("/journal"))["dead"] == 0


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"all": False}, {"ids": ["x"], "all": True}, {"ids": [3]}])
async def test_a_replay_says_what_it_means(desk: Desk, body: dict[str, object]) -> None:
    """An empty list is no order to replay everything."""
    assert (await desk.client.post("/admin/journal/replay", json=body)).status_code == 400


async def test_a_nudge_tells_the_state(desk: Desk) -> None:
    """The writer is woken; the answer is 202 with how far behind it was."""
    nudged = await desk.client.post("/admin/journal/nudge")

    assert (nudged.status_code, nudged.json().keys()) == (202, {"pending", "dead", "oldest"})


async def test_a_dead_letter_can_be_deleted(desk: Desk, user: str) -> None:
    """Who does not want it replayed deletes the turn as a memory."""
    (id,) = await poison(desk, user, 1)
    gone = await desk.client.delete(f"/admin/memories/{id}", params={"tenant": "acme", "user": user})
    dead = {letter["turn"]["id"] for page in await desk.pages("/journal/dead") for letter in page}

    assert gone.status_code == 200
    assert id not in dead
