"""/admin/memories/{id}/recalls: which answers a memory was found for."""

import pytest

from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_answers_that_a_memory_was_found_for_are_told_latest_first(desk: Desk, user: str) -> None:
    """With their traces, what was asked where, and the memory's score in each."""
    note = await desk.note(user, "The user's sister keeps bees in Riga.")
    asked = ["Where does my sister keep her bees?", "Does my sister keep bees in Riga?"]
    said = [await desk.chat(user, text, session=f"talk {n}") for n, text in enumerate(asked)]
    recalls = await desk.get(f"/memories/{note['id']}/recalls", user=user)

    assert recalls["searched"] == 2
    assert [item["question"] for item in recalls["items"]] == asked[::-1]
    assert [item["session"] for item in recalls["items"]] == ["talk 1", "talk 0"]
    assert [item["trace"] for item in recalls["items"]] == [a.headers["x-mneme-trace"] for a in said[::-1]]
    for item in recalls["items"]:
        trace = await desk.get(f"/traces/{item['trace']}")
        (hit,) = [hit for hit in trace["hits"] if hit["memory"]["id"] == note["id"]]
        assert (item["at"], item["score"], item["dropped"]) == (trace["at"], hit["score"], hit["dropped"])


async def test_a_memory_that_helped_nobody_has_none(desk: Desk, user: str) -> None:
    """Traces were looked through, and it stood in none."""
    await desk.chat(user, "Good morning.", session="talk")
    note = await desk.note(user, "The harbour master plays chess.")

    assert await desk.get(f"/memories/{note['id']}/recalls", user=user) == {"items": [], "searched": 1}


async def test_others_answers_are_not_told(desk: Desk, user: str) -> None:
    """Nor is there anything to tell of a memory that is not this user's."""
    note = await desk.note(user, "The user's sister keeps bees in Riga.")
    await desk.note("a neighbour", "The user's sister keeps bees in Riga.")
    await desk.chat("a neighbour", "Where does my sister keep her bees?", session="theirs")
    path = f"/admin/memories/{note['id']}/recalls"
    unknown = await desk.client.get(path, params={"tenant": "acme", "user": "a neighbour"})

    assert await desk.get(f"/memories/{note['id']}/recalls", user=user) == {"items": [], "searched": 0}
    assert unknown.status_code == 404
