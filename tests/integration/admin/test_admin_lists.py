"""/admin/memories and /admin/search, narrowed by what a memory is and by when it was said; counted; latest first."""

from typing import Any

import pytest

from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Thought
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUNDS = [
    ({"after": "2026-05-02"}, ["May 2", "May 3"]),
    ({"before": "2026-05-02"}, ["May 1"]),
    ({"after": "2026-05-02T00:00:00Z", "before": "2026-05-03"}, ["May 2"]),
    ({"after": "1777680000"}, ["May 2", "May 3"]),
    ({"after": "1777680000.5"}, ["May 3"]),
    ({"after": "2026-05-04"}, []),
]


async def said_in_may(desk: Desk, user: str) -> None:
    """A note on each of three days, not in their order."""
    for day in (2, 3, 1):
        await desk.note(user, f"May {day}", at=f"2026-05-0{day}")


async def texts(desk: Desk, user: str, **query: Any) -> list[str]:
    """What a listing tells, in order."""
    return [memory["text"] for memory in (await desk.get("/memories", user=user, **query))["items"]]


async def thought(desk: Desk, user: str) -> None:
    """A fact that a policy made, beside a note; both are about bees."""
    await desk.note(user, "Noted: bees live in Riga.", pinned=True, at="2026-05-02")
    fact = Memory(
        id="fact",
        scope=Scope("acme", user),
        session="talk",
        text="The bees of Riga are loud.",
        kind="fact",
        at=1_777_593_600.0,
        thought=Thought("tim"),
    )
    await desk.gateway.services.curator.add([fact])


@pytest.mark.parametrize("query, expected", BOUNDS)
async def test_a_list_is_narrowed_by_when_it_was_said(
    desk: Desk, user: str, query: dict[str, str], expected: list[str]
) -> None:
    """From one moment on, up to another; as ISO 8601 or as seconds; and so is the count."""
    await said_in_may(desk, user)

    assert sorted(await texts(desk, user, **query)) == expected
    assert await desk.get("/memories/count", user=user, **query) == {"count": len(expected)}


async def test_the_latest_come_first(desk: Desk, user: str) -> None:
    """Page by page, and each once."""
    await said_in_may(desk, user)
    pages = await desk.pages("/memories", user=user, order="latest", limit=2)

    assert [[memory["text"] for memory in page] for page in pages] == [["May 3", "May 2"], ["May 1"]]
    assert sorted(await texts(desk, user, order="id")) == ["May 1", "May 2", "May 3"]


async def test_a_list_is_narrowed_by_whose_word_it_is(desk: Desk, user: str) -> None:
    """An operator's note is not the user's word."""
    await desk.note(user, "Noted.")
    await desk.chat(user, "Said.", session="talk")

    assert await texts(desk, user, trust="operator") == ["Noted."]
    assert await texts(desk, user, trust="user", kind="turn") == ["Said."]
    assert await desk.get("/memories/count", user=user, trust="assistant") == {"count": 0}
    assert await desk.get("/memories/count", user=user) == {"count": 2}


@pytest.mark.parametrize(
    "query",
    ["trust=nobody", "after=yesterday", "before=x", "after=-1", "order=oldest", "order=latest&cursor=AAAA", "policy="],
)
async def test_a_filter_that_means_nothing_is_refused(desk: Desk, user: str, query: str) -> None:
    """It is the caller's to mend."""
    refused = await desk.client.get(f"/admin/memories?tenant=acme&user={user}&{query}")

    assert refused.status_code == 400


async def test_a_cursor_of_another_order_is_refused(desk: Desk, user: str) -> None:
    """It says nothing of where this order stands."""
    await said_in_may(desk, user)
    for one, other in (("id", "latest"), ("latest", "id")):
        page = await desk.get("/memories", user=user, order=one, limit=1)
        whose = {"tenant": "acme", "user": user, "order": other, "cursor": page["cursor"]}

        assert (await desk.client.get("/admin/memories", params=whose)).status_code == 400


async def test_a_memory_may_be_called_count(desk: Desk, user: str) -> None:
    """It is listed and edited as any other, though its path is the count's."""
    odd = Memory(id="count", scope=Scope("acme", user), session="", text="An import.", kind="note")
    await desk.gateway.services.curator.add([odd])
    whose = {"tenant": "acme", "user": user}
    edited = await desk.client.patch(
        "/admin/memories/count", params=whose, json={"pinned": True}, headers={"if-match": "*"}
    )

    assert edited.status_code == 200
    assert await desk.get("/memories/count", user=user, pinned=True) == {"count": 1}


@pytest.mark.parametrize(
    "query, expected",
    [
        ({}, {"note", "fact"}),
        ({"kind": "fact"}, {"fact"}),
        ({"made_by": "tim"}, {"fact"}),
        ({"session": "talk"}, {"fact"}),
        ({"trust": "user"}, {"fact"}),
        ({"pinned": "true"}, {"note"}),
        ({"after": "2026-05-02"}, {"note"}),
        ({"before": "2026-05-02"}, {"fact"}),
        ({"pinned": "true", "kind": "fact"}, set()),
    ],
)
async def test_search_is_narrowed_as_a_list_is(
    desk: Desk, user: str, query: dict[str, str], expected: set[str]
) -> None:
    """By all that a hit's memory is; `policy` is there the one that ranks."""
    await thought(desk, user)
    found = await desk.get("/search", user=user, q="Where do the bees live?", policy="tim", **query)

    assert {hit["memory"]["kind"] for hit in found["hits"]} == expected


async def test_hits_are_narrowed_before_they_are_cut(desk: Desk, user: str) -> None:
    """The best that matches is shown, though others are better."""
    await thought(desk, user)
    question: dict[str, Any] = {"q": "Noted: bees live in Riga.", "policy": "tim", "k": 1}
    (best,) = (await desk.get("/search", user=user, **question))["hits"]
    (narrowed,) = (await desk.get("/search", user=user, kind="fact", **question))["hits"]

    assert (best["memory"]["kind"], narrowed["memory"]["kind"]) == ("note", "fact")
