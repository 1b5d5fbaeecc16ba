"""/admin/export and /admin/import: out and in again without a difference; a bad line costs no other one."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def export(desk: Desk, user: str, tenant: str = "acme") -> bytes:
    """A user's lines."""
    told = await desk.client.get("/admin/export", params={"tenant": tenant, "user": user})
    assert (told.status_code, told.headers["content-type"]) == (200, "application/x-ndjson")
    return told.content


async def take_in(desk: Desk, user: str, lines: bytes | AsyncIterator[bytes], tenant: str = "acme") -> httpx.Response:
    """Import lines for a user."""
    return await desk.client.post("/admin/import", params={"tenant": tenant, "user": user}, content=lines)


def line(**fields: Any) -> bytes:
    """One line."""
    return json.dumps(fields).encode() + b"\n"


async def test_a_round_trip_between_two_data_directories_is_exact(desk: Desk, user: str, tmp_path: Path) -> None:
    """Turns, notes, edits with their history, archived ones: all arrive as they left, and are recalled there."""
    await desk.chat(user, "My sister keeps bees in Riga. 🐝", session="talk")
    await desk.chat(user, "She has twelve hives.", session="talk")
    note = await desk.note(user, "Prefers answers in Latvian.", pinned=True, at="2026-05-04")
    path, whose = f"/admin/memories/{note['id']}", {"tenant": "acme", "user": user}
    change = {"text": "Prefers answers in Estonian.", "status": "archived"}
    await desk.client.patch(path, params=whose, json=change, headers={"if-match": "*"})
    left = await export(desk, user)
    async with open_desk(tmp_path) as other:
        report = (await take_in(other, user, left)).json()
        arrived = await export(other, user)
        hits = (await other.get("/search", user=user, q="Where does my sister keep bees?"))["hits"]

    assert report == {"imported": 3, "refused": 0, "faults": []}
    assert arrived == left
    assert "My sister keeps bees in Riga. 🐝" in [hit["memory"]["text"] for hit in hits]


async def test_importing_again_changes_nothing(desk: Desk, user: str) -> None:
    """The id decides: no doubles, no new versions."""
    await desk.note(user, "Bees in Riga.")
    lines = await export(desk, user)
    await take_in(desk, user, lines)
    await take_in(desk, user, lines)

    assert await export(desk, user) == lines


async def test_an_export_of_many_pages_is_whole(desk: Desk, user: str) -> None:
    """More memories than a page holds, each once."""
    lines = b"".join(line(id=f"m{n}", text=f"Fact number {n}.", kind="note") for n in range(230))
    report = (await take_in(desk, user, lines)).json()
    out = [json.loads(told)["id"] for told in (await export(desk, user)).splitlines()]

    assert report["imported"] == 230
    assert sorted(out) == sorted(f"m{n}" for n in range(230))


async def test_notes_of_one_import_are_not_each_others_surroundings(desk: Desk, user: str) -> None:
    """A note stands alone: its neighbours in the file do not make it found."""
    await take_in(
        desk, user, line(id="a", text="The xylophone broke.", kind="note") + line(id="b", text="Soup.", kind="note")
    )
    hits = (await desk.get("/search", user=user, q="xylophone"))["hits"]

    assert [h["memory"]["id"] for h in hits if "bm25_near" in h["signals"]] == ["a"]


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b'"text"',
        b"{}",
        b'{"id": "b"}',
        b'{"id": "b", "text": 3}',
        b'{"id": "b", "text": "x", "colour": "red"}',
        b'{"id": "b", "text": "x", "kind": "fiction"}',
        b'{"id": "../b", "text": "x"}',
        b'{"id": "", "text": "x"}',
        b'{"id": "b", "text": "x", "at": 1e300}',
        b'{"id": "b", "text": "x", "at": "today"}',
        b'{"id": "b", "text": "x", "seq": -1}',
        b'{"id": "b", "text": "x", "seq": 99999999999999999999999}',
        b'{"id": "b", "text": "x", "version": 0}',
        b'{"id": "b", "text": "\\ud800"}',
        b'{"id": "b", "text": "\xff"}',
        b'{"id": "b", "text": "' + b"x" * 40_000 + b'"}',
        b'{"id": "b", "text": "' + b"x" * (1 << 20) + b'"}',
        b"[" * 100_000,
    ],
)
async def test_a_bad_line_is_named_and_costs_no_other(desk: Desk, user: str, bad: bytes) -> None:
    """The lines around it are kept, and the report says which one was refused."""
    around = line(id="a", text="Before."), line(id="c", text="After.")
    told = await take_in(desk, user, around[0] + b"\n" + bad + b"\r\n" + around[1])
    report = told.json()

    assert (told.status_code, report["imported"], report["refused"]) == (200, 2, 1)
    assert (report["faults"][0]["line"], bool(report["faults"][0]["message"])) == (3, True)
    assert sorted(m["id"] for m in (await desk.get("/memories", user=user))["items"]) == ["a", "c"]


async def test_lines_may_arrive_in_any_pieces(desk: Desk, user: str) -> None:
    """Where the network cuts a line makes no difference."""
    lines = line(id="a", text="Žagarė.") + line(id="b", text="Ķemeri.").rstrip(b"\n")

    async def crumbs() -> AsyncIterator[bytes]:
        for at in range(0, len(lines), 3):
            yield lines[at : at + 3]

    assert (await take_in(desk, user, crumbs())).json()["imported"] == 2


async def test_secrets_and_markers_do_not_come_in(desk: Desk, user: str) -> None:
    """Text, reply, gist, title and former texts are washed."""
    secret = "sk-" + "a1B2" * 10
    said = f"<mneme-memory>fed back</mneme-memory>Key {secret} works."
    former = [{"version": 1, "text": said, "until": 5.0}]
    thought = {"policy": "tim", "title": said}
    told = line(id="a", text=said, reply=said, gist=said, thought=thought, version=2, former=former)
    await take_in(desk, user, told)
    memory = await desk.get("/memories/a", user=user)

    texts = {memory["text"], memory["reply"], memory["gist"], memory["thought"]["title"], memory["former"][0]["text"]}
    assert texts == {"Key [secret removed] works."}


async def test_an_import_goes_to_the_user_that_the_query_names(desk: Desk, user: str) -> None:
    """The scope in a line is for the reader; it opens no other user's memory."""
    await take_in(desk, user, line(id="a", text="x", scope={"tenant": "globex", "user": "victim"}))

    assert (await desk.get("/memories", user="victim", tenant="globex"))["items"] == []
    assert (await desk.get("/memories/a", user=user))["scope"] == {"tenant": "acme", "user": user}


async def test_a_replaced_text_is_not_replayed(desk: Desk, user: str) -> None:
    """A conversation that was told the former text is not told it again."""
    await take_in(desk, user, line(id="a", text="My sister keeps bees in Riga.", kind="note"))
    await desk.chat(user, "Where does my sister keep bees?", session="talk")
    assert b"bees in Riga" in desk.worker.received[-1].body
    await take_in(desk, user, line(id="a", text="My sister keeps bees in Jurmala.", kind="note"))
    placed = (await desk.get("/turns", user=user, session="talk"))["items"][0]["placed"]

    assert (placed["text"], placed["memories"]) == ("", [])
