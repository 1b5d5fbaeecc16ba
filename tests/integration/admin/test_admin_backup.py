"""/admin/backup and /admin/restore: everything out and in again; what is not whole is told, and what is there stays."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway.memory.records import Kept, Scope
from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADA = Scope("acme", "ada")


async def backup(desk: Desk) -> list[bytes]:
    """The lines of a whole backup, with their ends."""
    told = await desk.client.get("/admin/backup")
    assert (told.status_code, told.headers["content-type"]) == (200, "application/x-ndjson")
    return told.content.splitlines(keepends=True)


async def take_in(desk: Desk, *lines: bytes) -> httpx.Response:
    """Restore these."""
    return await desk.client.post("/admin/restore", content=b"".join(lines))


def told(lines: list[bytes], kind: str) -> list[Any]:
    """What the lines of this kind hold."""
    return [record[kind] for record in map(json.loads, lines) if kind in record]


def message(answer: httpx.Response) -> str:
    """Why it was refused."""
    refused: str = answer.json()["error"]["message"]
    return refused


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lines(desk: Desk) -> list[bytes]:
    """A backup of two tenants and three users, with all that there can be: pinned and edited notes, turns of several
    sessions, one that waits and one that is dead, keys of which one was revoked."""
    await desk.client.put("/admin/tenants", params={"tenant": "acme"}, json={"limits": {"requests_per_minute": 600}})
    await desk.issue(label="web shop")
    ended = await desk.issue("admin", role="read")
    await desk.client.delete(f"/admin/keys/{ended['key']['id']}")
    await desk.chat("ada", "My sister keeps bees in Riga. 🐝", session="talk")
    await desk.chat("ada", "She has twelve hives.", session="talk")
    await desk.chat("ada", "Where does my sister keep bees?", session="other")
    await desk.chat("bob", "My cat is called Schrödinger.", session="cat")
    await desk.chat("ada", "I like Tallinn.", session="travel", tenant="globex")
    note = await desk.note("ada", "Prefers answers in Latvian.", pinned=True)
    whose = {"tenant": "acme", "user": "ada"}
    change = {"text": "Prefers answers in Estonian."}
    await desk.client.patch(f"/admin/memories/{note['id']}", params=whose, json=change, headers={"if-match": "*"})
    await put_by(desk, "dead")
    return await backup(desk)


async def put_by(desk: Desk, id: str) -> None:
    """A turn that nobody could index."""
    services = desk.gateway.services
    (some,) = (await services.journal.kept(ADA, limit=1)).items
    turn = replace(some.turn, id=id, seq=10_000, user_text="What nobody could index.")
    await services.journal.put_back(ADA, [Kept(turn, "dead", "The embedder failed.", 5)])


async def test_it_holds_everything_and_counts_it(lines: list[bytes]) -> None:
    """Head first, then tenants and keys, each user's turns before their memories, and at the end how many."""
    kinds = [next(iter(json.loads(line))) for line in lines]
    head, end = json.loads(lines[0])["mneme"], json.loads(lines[-1])["end"]

    assert (head["format"], head["embedder"]) == (1, "all-MiniLM-L6-v2")
    assert end == {"tenants": 1, "keys": 2, "turns": 6, "memories": 6, "placements": 5}
    assert kinds == [
        *("mneme", "tenant", "key", "key"),
        *(["turn"] * 4 + ["memory"] * 4 + ["placed"] * 3),
        *("turn", "memory", "placed"),
        *("turn", "memory", "placed"),
        "end",
    ]


async def test_it_holds_no_secret(desk: Desk) -> None:
    """Of a key its digest and its card: nobody can ask with what is in a backup."""
    issued = await desk.issue(label="till")
    held = b"".join(await backup(desk))

    assert issued["secret"].encode() not in held
    assert issued["key"]["id"].encode() in held
    await desk.client.delete(f"/admin/keys/{issued['key']['id']}")


async def test_what_is_restored_is_as_it_was(desk: Desk, tmp_path: Path) -> None:
    """Every line comes out of the other directory as it went in; keys open there, and recall answers."""
    secret = (await desk.issue(label="till"))["secret"]
    lines = await backup(desk)
    async with open_desk(tmp_path) as other:
        taken = await take_in(other, *lines)
        again = await backup(other)
        hits = (await other.get("/search", user="ada", q="Where does my sister keep bees?"))["hits"]
        asked = await other.client.get("/v1/models", headers={"authorization": f"Bearer {secret}"})
        tenants = (await other.client.get("/admin/tenants")).json()["items"]
        dead = (await other.client.get("/admin/journal/dead")).json()["items"]

    assert (taken.status_code, taken.json()) == (200, told(lines, "end")[0])
    assert again[1:] == lines[1:]
    assert "My sister keeps bees in Riga. 🐝" in [hit["memory"]["text"] for hit in hits[:2]]
    assert asked.status_code != 401
    assert tenants[0]["limits"]["requests_per_minute"] == 600
    assert [(letter["turn"]["id"], letter["attempts"]) for letter in dead] == [("dead", 5)]


async def test_a_conversation_goes_on_after_a_restore(desk: Desk, tmp_path: Path) -> None:
    """What stood in its prompt is replayed at the same place, and its next turn comes behind the restored ones."""
    await desk.chat("carl", "My cat is called Schrödinger.", session="cat")
    said = [{"role": "user", "content": "What is my cat called?"}]
    headers = {"authorization": "Bearer acme-key", "x-mneme-user": "carl", "x-mneme-session": "long"}
    first = await desk.client.post("/v1/chat/completions", json={"model": "m", "messages": said}, headers=headers)
    await desk.gateway.indexed()
    said += [first.json()["choices"][0]["message"], {"role": "user", "content": "And who was that?"}]
    lines = await backup(desk)
    last = max(kept["turn"]["seq"] for kept in told(lines, "turn"))
    async with open_desk(tmp_path) as other:
        await take_in(other, *lines)
        prompts = []
        for each in (desk, other):
            await each.client.post("/v1/chat/completions", json={"model": "m", "messages": said}, headers=headers)
            await each.gateway.indexed()
            prompts.append(json.loads(each.worker.received[-1].body)["messages"][0]["content"])
        latest = (await other.gateway.services.journal.kept(Scope("acme", "carl"))).items[-1].turn

    assert prompts[0] == prompts[1] != said[0]["content"]
    assert (latest.user_text, latest.seq) == ("And who was that?", last + 1)


async def test_a_waiting_turn_is_indexed_after_a_restore(desk: Desk, lines: list[bytes], tmp_path: Path) -> None:
    """Though the backup has no memory of it."""
    asked = json.loads(next(line for line in lines if b"twelve hives" in line and b'"turn"' in line))
    waiting = json.dumps({"turn": {**asked["turn"], "state": "pending"}}).encode() + b"\n"
    rest = [line for line in lines[1:-1] if b"twelve hives" not in line or b'"placed"' in line]
    end = {**told(lines, "end")[0], "memories": 5}
    async with open_desk(tmp_path) as other:
        taken = await take_in(other, lines[0], *rest, waiting, json.dumps({"end": end}).encode())
        await other.gateway.indexed()
        texts = [memory["text"] for memory in (await other.get("/memories", user="ada"))["items"]]

    assert taken.status_code == 200, taken.text
    assert "She has twelve hives." in texts


async def test_what_is_there_stays(desk: Desk, lines: list[bytes]) -> None:
    """A restore over memories or turns is a conflict, whatever it brings, and changes nothing."""
    before = await backup(desk)
    answers = [await take_in(desk, *lines), await take_in(desk, b"nonsense")]
    after = await backup(desk)

    assert [answer.status_code for answer in answers] == [409, 409]
    assert after[1:] == before[1:]


async def test_a_damaged_backup_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    """With the line's number, and what was restored until then; so it is in the audit log."""
    async with open_desk(tmp_path) as other:
        cut = await take_in(other, *lines[:-1])
        damaged = await take_in(other, lines[0], b"nonsense\n", *lines[1:])
        acts = (await other.client.get("/admin/audit")).json()["items"]

    assert (cut.status_code, damaged.status_code) == (400, 409)
    assert "The last line is missing" in message(cut)
    assert "start over with an empty MNEME_DATA" in message(cut)
    assert [(act["what"], act["outcome"]) for act in acts] == [
        ("POST /admin/restore", "409"),
        ("POST /admin/restore", "400"),
    ]


async def test_a_backup_stands_in_the_audit_log(desk: Desk) -> None:
    """With who took it; no user is named."""
    await backup(desk)
    (act,) = (await desk.get("/audit", limit=1))["items"]

    assert (act["what"], act["who"], act["outcome"], act["user"]) == ("GET /admin/backup", "loopback", "200", None)
