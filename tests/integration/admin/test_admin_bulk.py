"""/admin/memories/bulk: many memories archived, brought back, pinned, unpinned and deleted at once."""

from typing import Any

import pytest

from gateway.memory.records import Memory, Scope
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def three(desk: Desk, user: str) -> list[str]:
    """The ids of three notes."""
    return [(await desk.note(user, f"Row {n} is ripe."))["id"] for n in range(3)]


async def bulk(desk: Desk, user: str, act: str, **fields: Any) -> tuple[int, int, int]:
    """What came of an act: matched, changed, left."""
    told = await desk.post("/memories/bulk", {"act": act, **fields}, user=user)
    return told["matched"], told["changed"], told["left"]


async def texts(desk: Desk, user: str, **query: Any) -> list[str]:
    """What a listing tells, in the order of the texts."""
    return sorted(memory["text"] for memory in (await desk.get("/memories", user=user, **query))["items"])


async def test_named_memories_are_archived_and_brought_back(desk: Desk, user: str) -> None:
    """They leave every search and return to it, each at its next version; ids that are nobody's are passed over."""
    ids = await three(desk, user)

    assert await bulk(desk, user, "archive", ids=[*ids[:2], "nobody"]) == (2, 2, 0)
    assert len((await desk.get("/search", user=user, q="Which row is ripe?"))["hits"]) == 1
    assert await texts(desk, user, status="archived") == ["Row 0 is ripe.", "Row 1 is ripe."]
    assert await bulk(desk, user, "restore", ids=ids) == (2, 2, 0)
    assert len((await desk.get("/search", user=user, q="Which row is ripe?"))["hits"]) == 3
    assert [(await desk.get(f"/memories/{id}", user=user))["version"] for id in ids] == [3, 3, 1]


async def test_what_matches_a_filter_is_pinned_and_unpinned(desk: Desk, user: str) -> None:
    """Only that, and once: what is so already is not meant again."""
    await three(desk, user)
    await desk.chat(user, "I said this.", session="talk")

    assert await bulk(desk, user, "pin", filter={"kind": "note", "trust": "operator"}) == (3, 3, 0)
    assert await bulk(desk, user, "pin", filter={"kind": "note"}) == (0, 0, 0)
    assert await texts(desk, user, pinned=False) == ["I said this."]
    assert await bulk(desk, user, "unpin", filter={}) == (3, 3, 0)
    assert await texts(desk, user, pinned=True) == []


async def test_a_dry_run_only_counts(desk: Desk, user: str) -> None:
    """Of every act, by ids and by a filter."""
    ids = await three(desk, user)
    before = await desk.get("/memories", user=user)
    for act, matched in {"archive": 3, "pin": 3, "delete": 3, "restore": 0, "unpin": 0}.items():
        assert await bulk(desk, user, act, dry_run=True, ids=ids) == (matched, 0, matched)
        assert await bulk(desk, user, act, dry_run=True, filter={}) == (matched, 0, matched)

    assert await desk.get("/memories", user=user) == before


async def test_what_was_said_before_a_day_is_deleted(desk: Desk, user: str) -> None:
    """With the turns that it rests on; the rest stays."""
    await desk.note(user, "Old.", at="2025-05-01")
    await desk.note(user, "New.", at="2026-05-01")

    assert await bulk(desk, user, "delete", filter={"before": "2026-01-01"}) == (1, 1, 0)
    assert await texts(desk, user) == ["New."]


async def test_a_deleted_turn_takes_its_evidence_along(desk: Desk, user: str) -> None:
    """As the deletion of one does: nothing of it is in traces or in what was said where."""
    await desk.chat(user, "My sister keeps bees in Riga.", session="talk")

    assert await bulk(desk, user, "delete", filter={"session": "talk"}) == (1, 1, 0)
    assert (await desk.get("/traces", user=user))["items"] == []
    assert (await desk.get("/sessions", user=user))["items"] == []


async def test_so_many_are_changed_at_once_and_the_caller_asks_again(desk: Desk, user: str) -> None:
    """Until none is left."""
    notes = [
        Memory(id=f"n{n}", scope=Scope("acme", user), session="", text="A row.", kind="note", at=float(n))
        for n in range(1100)
    ]
    await desk.gateway.services.curator.add(notes)

    assert await bulk(desk, user, "archive", filter={"kind": "note"}) == (1100, 1000, 100)
    assert await bulk(desk, user, "archive", filter={"kind": "note"}) == (100, 100, 0)
    assert await desk.get("/memories/count", user=user, status="archived") == {"count": 1100}
    assert await bulk(desk, user, "delete", filter={"after": 50.0}) == (1050, 1000, 50)
    assert await desk.get("/memories/count", user=user) == {"count": 100}


async def test_what_was_superseded_is_neither_archived_nor_brought_back(desk: Desk, user: str) -> None:
    """It says what held once; only deleting is for it as well."""
    (id, *_) = await three(desk, user)
    whose = {"tenant": "acme", "user": user}
    edit = {"status": "superseded"}
    await desk.client.patch(f"/admin/memories/{id}", params=whose, json=edit, headers={"if-match": "*"})

    assert await bulk(desk, user, "restore", ids=[id]) == (0, 0, 0)
    assert await bulk(desk, user, "archive", filter={"status": "superseded"}) == (0, 0, 0)
    assert await bulk(desk, user, "delete", filter={"status": "superseded"}) == (1, 1, 0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"act": "archive"},
        {"act": "archive", "ids": []},
        {"act": "archive", "ids": ["x"], "filter": {}},
        {"act": "forget", "ids": ["x"]},
        {"act": "pin", "ids": ["x"] * 1001},
        {"act": "pin", "filter": {"text": "bees"}},
        {"act": "pin", "filter": {"after": "yesterday"}},
        {"act": "pin", "filter": {"kind": "fiction"}},
        {"act": "pin", "filter": {"policy": ""}},
    ],
)
async def test_an_act_that_means_nothing_is_refused(desk: Desk, user: str, body: dict[str, Any]) -> None:
    """A bad act is a 400, and changes nothing: a misspelt filter is not the one without a field."""
    await three(desk, user)
    before = await desk.get("/memories", user=user)
    refused = await desk.client.post("/admin/memories/bulk", params={"tenant": "acme", "user": user}, json=body)

    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert await desk.get("/memories", user=user) == before


async def test_anothers_memories_are_not_meant(desk: Desk, user: str) -> None:
    """Neither by their ids nor by a filter."""
    ids = await three(desk, user)

    assert await bulk(desk, "somebody else", "delete", ids=ids) == (0, 0, 0)
    assert await bulk(desk, "somebody else", "delete", filter={}) == (0, 0, 0)
    assert await desk.get("/memories/count", user=user) == {"count": 3}


async def test_an_act_on_many_is_one_line_in_the_log(desk: Desk, user: str) -> None:
    """It says which act it was, and whether it was only counted."""
    ids = await three(desk, user)
    await bulk(desk, user, "archive", ids=ids)
    await bulk(desk, user, "delete", filter={}, dry_run=True)
    told = [line for line in (await desk.get("/audit", limit=20))["items"] if line["user"] == user][:2]

    assert [(line["what"], line["target"], line["outcome"]) for line in reversed(told)] == [
        ("POST /admin/memories/bulk", "archive", "200"),
        ("POST /admin/memories/bulk", "delete, a dry run", "200"),
    ]
