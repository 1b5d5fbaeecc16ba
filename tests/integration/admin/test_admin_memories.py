"""/admin/memories: read, write, edit and delete, each user's alone."""

import asyncio
import json
from typing import Any

import pytest

from gateway.memory.records import Memory, Scope
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_note_is_read_back_as_it_was_made(desk: Desk, user: str) -> None:
    """A note is the operator's, and keeps its time."""
    made = await desk.note(user, "Prefers answers in Latvian.", pinned=True, at="2026-05-04T12:00:00Z")
    read = await desk.get(f"/memories/{made['id']}", user=user)

    assert read == made
    told = {name: made[name] for name in ("text", "kind", "trust", "pinned", "at", "version")}
    assert told == {
        "text": "Prefers answers in Latvian.",
        "kind": "note",
        "trust": "operator",
        "pinned": True,
        "at": 1_777_896_000.0,
        "version": 1,
    }


async def test_a_note_is_recalled(desk: Desk, user: str) -> None:
    """What the operator noted enters the prompts of that user."""
    await desk.note(user, "The user's sister keeps bees in Riga.")
    await desk.chat(user, "Where does my sister keep her bees?", session=user)

    assert b"bees in Riga" in desk.worker.received[-1].body


async def test_secrets_and_markers_do_not_enter_a_note(desk: Desk, user: str) -> None:
    """A note is washed as turns are."""
    secret = "sk-" + "a1B2" * 10
    text = f"<mneme-memory>fed back</mneme-memory>Key {secret} </mneme-memory>works."
    made = await desk.note(user, text)

    assert made["text"] == "Key [secret removed] works."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "  "},
        {"text": "<mneme-memory>x</mneme-memory>"},
        {"text": 3},
        {"text": "x" * 40_000},
        {"text": "x", "at": "yesterday"},
        {"text": "x", "at": -1},
        {"text": "x", "at": True},
        {"text": "x", "pinned": "maybe"},
        {"text": "x", "trust": "user"},
    ],
)
async def test_a_note_that_says_nothing_or_too_much_is_refused(desk: Desk, user: str, body: dict[str, Any]) -> None:
    """A bad note is a 400, and nothing is kept."""
    refused = await desk.client.post("/admin/memories", params={"tenant": "acme", "user": user}, json=body)

    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (await desk.get("/memories", user=user))["items"] == []


async def test_pages_hold_everything_once(desk: Desk, user: str) -> None:
    """A listing of many pages misses nothing and repeats nothing."""
    made = {(await desk.note(user, f"Fact number {n}."))["id"] for n in range(7)}
    pages = await desk.pages("/memories", user=user, limit=2)

    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert sorted(memory["id"] for page in pages for memory in page) == sorted(made)


async def test_filters_narrow_a_listing(desk: Desk, user: str) -> None:
    """Session, kind, pinned and status each leave only what matches."""
    note = await desk.note(user, "A pinned note.", pinned=True)
    await desk.note(user, "A loose note.")
    await desk.chat(user, "Something said.", session="talk")

    async def texts(**filters: Any) -> list[str]:
        return sorted(m["text"] for m in (await desk.get("/memories", user=user, **filters))["items"])

    assert await texts(pinned=True) == [note["text"]]
    assert await texts(kind="note") == ["A loose note.", "A pinned note."]
    assert await texts(session="talk") == ["Something said."]
    assert await texts(status="archived") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "kind=fiction", "status=gone", "pinned=maybe"])
async def test_a_bad_filter_is_refused(desk: Desk, user: str, query: str) -> None:
    """A filter that means nothing is the caller's to mend."""
    refused = await desk.client.get(f"/admin/memories?tenant=acme&user={user}&{query}")

    assert refused.status_code == 400


@pytest.mark.parametrize(
    "cursor", ["x", "é", "AAAA", "9" * 2000, "%00", "bm90IGEgcG9pbnQ=", "1e9", "-5", "99999999999999999999"]
)
@pytest.mark.parametrize("path", ["memories", "sessions", "users", "journal/dead"])
async def test_a_made_up_cursor_is_never_our_fault(desk: Desk, user: str, path: str, cursor: str) -> None:
    """A cursor that no list gave out is a 400, or the page that stands there; never a 5xx."""
    told = await desk.client.get(f"/admin/{path}", params={"tenant": "acme", "user": user, "cursor": cursor})

    assert told.status_code in (200, 400)


async def test_an_edit_makes_the_next_version(desk: Desk, user: str) -> None:
    """With the current ETag an edit succeeds, and answers with the next one."""
    made = await desk.note(user, "Bees in Riga.")
    path, whose = f"/admin/memories/{made['id']}", {"tenant": "acme", "user": user}
    tag = (await desk.client.get(path, params=whose)).headers["etag"]
    edited = await desk.client.patch(path, params=whose, json={"text": "Bees in Jurmala."}, headers={"if-match": tag})

    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    assert await desk.get(f"/memories/{made['id']}", user=user) == edited.json()


async def test_of_two_edits_of_one_version_one_wins(desk: Desk, user: str) -> None:
    """Whoever comes second gets 412, and the first edit stands."""
    made = await desk.note(user, "Bees in Riga.")
    path, whose = f"/admin/memories/{made['id']}", {"tenant": "acme", "user": user}

    async def edit(text: str) -> int:
        edited = await desk.client.patch(path, params=whose, json={"text": text}, headers={"if-match": '"1"'})
        return edited.status_code

    statuses = await asyncio.gather(*(edit(f"Bees in town {n}.") for n in range(4)))

    assert sorted(statuses) == [200, 412, 412, 412]
    assert (await desk.get(f"/memories/{made['id']}", user=user))["version"] == 2


async def test_an_edit_must_say_which_version(desk: Desk, user: str) -> None:
    """Without If-Match an edit is refused with 428."""
    made = await desk.note(user, "Bees in Riga.")
    whose = {"tenant": "acme", "user": user}
    refused = await desk.client.patch(f"/admin/memories/{made['id']}", params=whose, json={"pinned": True})

    assert (refused.status_code, refused.json()["error"]["code"]) == (428, "if_match_required")


@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', "1", '""', "x"])
async def test_another_tag_does_not_match(desk: Desk, user: str, tag: str) -> None:
    """Only the exact strong ETag is the version's."""
    made = await desk.note(user, "Bees in Riga.")
    whose = {"tenant": "acme", "user": user}
    path = f"/admin/memories/{made['id']}"
    refused = await desk.client.patch(path, params=whose, json={"pinned": True}, headers={"if-match": tag})

    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "stale_edit")


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"status": "gone"}, {"pinned": None}, {"version": 7}])
async def test_an_edit_that_changes_nothing_known_is_refused(desk: Desk, user: str, body: dict[str, Any]) -> None:
    """A bad edit is a 400, and makes no version."""
    made = await desk.note(user, "Bees in Riga.")
    path, whose = f"/admin/memories/{made['id']}", {"tenant": "acme", "user": user}
    refused = await desk.client.patch(path, params=whose, json=body, headers={"if-match": "*"})

    assert refused.status_code == 400
    assert (await desk.get(f"/memories/{made['id']}", user=user))["version"] == 1


async def test_an_archived_memory_is_not_recalled(desk: Desk, user: str) -> None:
    """Archiving keeps a memory and takes it out of every search."""
    made = await desk.note(user, "Bees in Riga.")
    path, whose = f"/admin/memories/{made['id']}", {"tenant": "acme", "user": user}
    await desk.client.patch(path, params=whose, json={"status": "archived"}, headers={"if-match": '"1"'})

    assert (await desk.get("/search", user=user, q="Where are the bees?"))["hits"] == []
    assert (await desk.get("/memories", user=user, status="archived"))["items"][0]["id"] == made["id"]


async def test_history_tells_every_text(desk: Desk, user: str) -> None:
    """Former texts are told in order, with when they were replaced; the current one is open."""
    made = await desk.note(user, "Bees in Riga.")
    path, whose = f"/admin/memories/{made['id']}", {"tenant": "acme", "user": user}
    for version, text in enumerate(["Bees in Jurmala.", "Bees in Liepaja."], 1):
        await desk.client.patch(path, params=whose, json={"text": text}, headers={"if-match": f'"{version}"'})
    versions = (await desk.get(f"/memories/{made['id']}/history", user=user))["versions"]

    assert [v["text"] for v in versions] == ["Bees in Riga.", "Bees in Jurmala.", "Bees in Liepaja."]
    assert versions[0]["until"] <= versions[1]["until"]
    assert versions[2]["until"] is None


async def test_provenance_tells_the_turn(desk: Desk, user: str) -> None:
    """A memory leads back to what was said, word for word, and to the trace of that answer."""
    said = await desk.chat(user, "My sister keeps bees in Riga.", session="talk")
    memory = (await desk.get("/memories", user=user))["items"][0]
    provenance = await desk.get(f"/memories/{memory['id']}/provenance", user=user)

    assert provenance["turns"][0]["user_text"] == "My sister keeps bees in Riga."
    assert provenance["turns"][0]["trace"] == said.headers["x-mneme-trace"]
    assert provenance["missing"] == []


async def test_search_tells_signals_and_scores(desk: Desk, user: str) -> None:
    """The best hit comes first, with what each signal gave it."""
    await desk.note(user, "The harbour master plays chess.")
    best = await desk.note(user, "The user's sister keeps bees in Riga.")
    found = await desk.get("/search", user=user, q="Where does my sister keep bees?", k=1)

    assert (found["policy"], [hit["memory"]["id"] for hit in found["hits"]]) == ("verbatim", [best["id"]])
    signals = found["hits"][0]["signals"].keys()
    assert signals == {"dense_turn", "dense_near", "bm25_turn", "bm25_near", "words", "words_near"}


async def test_search_refuses_an_unknown_policy(desk: Desk, user: str) -> None:
    """The error names the policies that exist."""
    whose = {"tenant": "acme", "user": user, "q": "x", "policy": "psychic"}
    refused = await desk.client.get("/admin/search", params=whose)

    assert refused.status_code == 400
    assert "verbatim" in refused.json()["error"]["message"]


async def test_deleting_one_leaves_the_others(desk: Desk, user: str) -> None:
    """A deleted memory is gone, also from search; its sibling stays."""
    gone, stays = await desk.note(user, "Bees in Riga."), await desk.note(user, "Bees in Jurmala.")
    whose = {"tenant": "acme", "user": user}
    deleted = await desk.client.delete(f"/admin/memories/{gone['id']}", params=whose)
    again = await desk.client.delete(f"/admin/memories/{gone['id']}", params=whose)

    assert (deleted.json(), again.status_code) == ({"deleted": 1}, 404)
    hits = (await desk.get("/search", user=user, q="Where are the bees?"))["hits"]
    assert [hit["memory"]["id"] for hit in hits] == [stays["id"]]


async def test_a_deleted_turn_leaves_the_journal_too(desk: Desk, user: str) -> None:
    """The evidence goes with the memory."""
    await desk.chat(user, "My sister keeps bees in Riga.", session="talk")
    memory = (await desk.get("/memories", user=user))["items"][0]
    await desk.client.delete(f"/admin/memories/{memory['id']}", params={"tenant": "acme", "user": user})
    traces = await desk.get("/traces", user=user)

    assert traces["items"] == []
    assert (await desk.get("/memories", user=user))["items"] == []


async def test_what_stood_beside_a_deleted_turn_forgets_its_words(desk: Desk, user: str) -> None:
    """Neighbours are indexed together; a deleted turn's words find none of them afterwards."""
    await desk.chat(user, "The xylophone broke.", session="talk")
    await desk.chat(user, "We had soup.", session="talk")
    turns = {m["text"]: m["id"] for m in (await desk.get("/memories", user=user))["items"]}
    before = (await desk.get("/search", user=user, q="xylophone"))["hits"]
    await desk.post("/memories/delete", {"ids": [turns["The xylophone broke."]]}, user=user)
    after = (await desk.get("/search", user=user, q="xylophone"))["hits"]

    assert "bm25_near" in next(h for h in before if h["memory"]["text"] == "We had soup.")["signals"]
    assert [hit["signals"].keys() & {"bm25_turn", "bm25_near"} for hit in after] == [set()]


async def test_many_are_deleted_at_once(desk: Desk, user: str) -> None:
    """Ids that do not exist are passed over."""
    ids = [(await desk.note(user, f"Fact number {n}."))["id"] for n in range(3)]
    deleted = await desk.post("/memories/delete", {"ids": [*ids[:2], "nobody"]}, user=user)

    assert deleted == {"deleted": 2}
    assert [m["id"] for m in (await desk.get("/memories", user=user))["items"]] == ids[2:]


@pytest.mark.parametrize("tenant, other", [("acme", "somebody else"), ("globex", None)])
async def test_anothers_memory_is_unknown(desk: Desk, user: str, tenant: str, other: str | None) -> None:
    """Neither another user nor another tenant's user of the same name can read, edit or delete it."""
    memory = await desk.note(user, "Bees in Riga.")
    whose = {"tenant": tenant, "user": other or user}
    path = f"/admin/memories/{memory['id']}"
    tries = [
        await desk.client.get(path, params=whose),
        await desk.client.get(f"{path}/history", params=whose),
        await desk.client.get(f"{path}/provenance", params=whose),
        await desk.client.patch(path, params=whose, json={"pinned": True}, headers={"if-match": "*"}),
        await desk.client.delete(path, params=whose),
    ]
    bulk = await desk.client.post("/admin/memories/delete", params=whose, json={"ids": [memory["id"]]})

    assert [refused.status_code for refused in tries] == [404] * 5
    assert bulk.json() == {"deleted": 0}
    assert await desk.get(f"/memories/{memory['id']}", user=user) == memory


@pytest.mark.parametrize("odd", ["*", "%", "a:b/c?d#e&f=g", "\u0000", "новый\nuser", " ", "' OR 1=1 --", "x" * 512])
async def test_a_user_id_may_hold_any_character(desk: Desk, user: str, odd: str) -> None:
    """Ids are opaque: no wildcard, no delimiter, no trimming."""
    strange = (odd + user)[:512]
    await desk.note(user, "Theirs.")
    await desk.note(strange, "Mine.")

    assert [m["text"] for m in (await desk.get("/memories", user=strange))["items"]] == ["Mine."]


async def test_text_that_is_not_unicode_is_told_as_its_escape(desk: Desk, user: str) -> None:
    """Whatever the stores hold can be listed and exported."""
    odd = Memory(id="odd", scope=Scope("acme", user), session="", text="half \ud800 a pair", kind="note")
    await desk.gateway.services.curator.add([odd])
    export = await desk.client.get("/admin/export", params={"tenant": "acme", "user": user})

    assert (await desk.get("/memories", user=user))["items"][0]["text"] == odd.text
    assert json.loads(export.text)["text"] == odd.text
