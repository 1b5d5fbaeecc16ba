"""The audit log: who changed or took out what, of whom, and what came of it; never a word of what is remembered."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = "canary-7f3a-bees"


async def lines(desk: Desk, user: str) -> list[dict[str, Any]]:
    """What the log has of a user, earliest first."""
    told = (await desk.get("/audit", limit=200))["items"]
    return [line for line in reversed(told) if line["user"] == user]


def holding(folder: Path, text: str) -> list[str]:
    """Files in which these bytes stand."""
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


async def test_an_act_is_told_with_who_what_whose_and_what_came_of_it(desk: Desk, user: str) -> None:
    """By loopback here, and by an admin key's id."""
    key = await desk.issue("admin", role="write")
    note = await desk.note(user, "Likes tea.")
    await desk.client.delete(
        f"/admin/memories/{note['id']}",
        params={"tenant": "acme", "user": user},
        headers={"authorization": f"Bearer {key['secret']}"},
    )
    first, second = await lines(desk, user)

    assert {name: first[name] for name in ("who", "role", "what", "tenant", "target", "outcome")} == {
        "who": "loopback",
        "role": "operator",
        "what": "POST /admin/memories",
        "tenant": "acme",
        "target": "",
        "outcome": "201",
    }
    assert (second["who"], second["role"], second["outcome"]) == (key["key"]["id"], "write", "200")
    assert (second["what"], second["target"]) == ("DELETE /admin/memories/{id}", note["id"])
    assert first["subject"] == second["subject"] != ""
    assert 0 < first["at"] <= second["at"]


async def test_what_was_refused_is_told_too(desk: Desk, user: str) -> None:
    """For a role that is too low, a body that makes no sense, a memory that there is not."""
    key = await desk.issue("admin", role="read")
    whose: dict[str, Any] = {"params": {"tenant": "acme", "user": user}}
    await desk.client.get("/admin/export", headers={"authorization": f"Bearer {key['secret']}"}, **whose)
    await desk.client.post("/admin/memories", json={"text": ""}, **whose)
    await desk.client.delete("/admin/memories/nobody", **whose)

    assert [(line["what"], line["outcome"]) for line in await lines(desk, user)] == [
        ("GET /admin/export", "403"),
        ("POST /admin/memories", "400"),
        ("DELETE /admin/memories/{id}", "404"),
    ]


async def test_looking_is_not_an_act(desk: Desk, user: str) -> None:
    """Nor is a stranger at the door."""
    before = len((await desk.get("/audit", limit=200))["items"])
    await desk.get("/memories", user=user)
    await desk.client.post("/admin/journal/nudge", headers={"authorization": "Bearer mn-" + "x" * 43})

    assert len((await desk.get("/audit", limit=200))["items"]) == before


async def test_acts_with_keys_name_the_key(desk: Desk) -> None:
    """The one that was made, or that ended; never a secret."""
    made = await desk.issue()
    id = made["key"]["id"]
    new = (await desk.client.post(f"/admin/keys/{id}/rotate", json={})).json()
    await desk.client.delete(f"/admin/keys/{new['key']['id']}")
    told = (await desk.get("/audit", limit=3))["items"]

    assert [(line["what"], line["target"]) for line in reversed(told)] == [
        ("POST /admin/keys", id),
        ("POST /admin/keys/{id}/rotate", new["key"]["id"]),
        ("DELETE /admin/keys/{id}", new["key"]["id"]),
    ]
    assert made["secret"] not in str(told)


async def test_the_log_is_told_page_by_page(desk: Desk) -> None:
    """Latest first, each act once."""
    for _ in range(3):
        await desk.client.post("/admin/journal/nudge")
    pages = await desk.pages("/audit", limit=2)
    whole = [line for page in pages for line in page]

    assert len(pages) > 1
    assert [line["at"] for line in whole] == sorted((line["at"] for line in whole), reverse=True)
    assert whole == (await desk.get("/audit", limit=200))["items"]


async def test_nothing_of_what_is_remembered_is_in_the_log(tmp_path: Path) -> None:
    """Whatever is done with it, by every route that is written down; nor a forgotten user's name, in any file."""
    user = f"user of {CANARY}"
    async with open_desk(tmp_path) as desk:
        await desk.chat(user, f"My secret is {CANARY}.", session=CANARY)
        note = await desk.note(user, f"Never say {CANARY}.")
        whose = {"tenant": "acme", "user": user}
        exported = await desk.client.get("/admin/export", params=whose)
        await desk.client.post("/admin/import", params=whose, content=exported.content)
        edit = {"text": f"Say {CANARY}."}
        await desk.client.patch(f"/admin/memories/{note['id']}", params=whose, json=edit, headers={"if-match": "*"})
        await desk.client.post("/admin/memories/delete", params=whose, json={"ids": [CANARY]})
        before = await lines(desk, user)
        assert (await desk.client.post("/admin/forget", params=whose)).status_code == 200
        (last, *others) = (await desk.get("/audit", limit=200))["items"]
        found = holding(tmp_path, CANARY)

    assert {line["what"] for line in before} >= {
        "GET /admin/export",
        "POST /admin/import",
        "PATCH /admin/memories/{id}",
    }
    assert CANARY not in str([{**line, "user": None} for line in before])
    assert (last["what"], last["user"], last["outcome"]) == ("POST /admin/forget", None, "200")
    assert last["subject"] == before[0]["subject"]
    assert CANARY not in str([last, *others])
    assert found == []


async def test_the_local_gateway_s_acts_are_its_user_s(tmp_path: Path) -> None:
    """Where nobody has to be named."""
    async with open_desk(tmp_path, keys="") as desk:
        await desk.client.post("/admin/memories", json={"text": "Likes tea."})
        (line,) = (await desk.client.get("/admin/audit")).json()["items"]

    assert (line["tenant"], line["user"]) == ("local", "local")
