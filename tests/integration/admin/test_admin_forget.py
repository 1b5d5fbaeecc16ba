"""/admin/forget: a user leaves every store and every file, and a certificate says so that nobody can forge."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk
from tests.support.upstream import SSE, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = Reply(
    headers=SSE,
    chunks=(b'data: {"choices":[{"index":0,"delta":{"content":"Thank you."}}]}\n\n', b"data: [DONE]\n\n"),
)


def files_with(folder: Path, canary: bytes) -> Iterator[Path]:
    """The files of a data directory that hold the words."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(folder / "models") and canary in path.read_bytes():
            yield path


async def live(desk: Desk, user: str, canary: str) -> None:
    """Leave words everywhere: journal, memories, history, placements, traces."""
    await desk.chat(user, f"My sister's boat is called {canary}.", session="talk")
    note = await desk.note(user, f"Asks about {canary} often.", pinned=True)
    path, whose = f"/admin/memories/{note['id']}", {"tenant": "acme", "user": user}
    await desk.client.patch(path, params=whose, json={"text": f"Likes {canary}."}, headers={"if-match": "*"})
    await desk.chat(user, "What is my sister's boat called?", session="later")


async def test_forgotten_words_leave_every_file(tmp_path: Path) -> None:
    """After forget no file holds them, running or stopped; another user's words stay."""
    async with open_desk(tmp_path) as desk:
        await live(desk, "leaves", "zanzibarquux")
        await live(desk, "stays", "timbuktuquux")
        assert any(files_with(tmp_path, b"zanzibarquux"))
        await desk.post("/forget", user="leaves")
        while_running = list(files_with(tmp_path, b"zanzibarquux"))
        others = await desk.get("/memories", user="stays")
    when_stopped = list(files_with(tmp_path, b"zanzibarquux"))

    assert (while_running, when_stopped) == ([], [])
    assert any("timbuktuquux" in memory["text"] for memory in others["items"])


async def test_nothing_is_told_of_a_forgotten_user(desk: Desk, user: str) -> None:
    """No listing, search or next answer knows them."""
    await live(desk, user, "zanzibar")
    await desk.post("/forget", user=user)

    assert (await desk.get("/memories", user=user))["items"] == []
    assert (await desk.get("/search", user=user, q="What is my sister's boat called?"))["hits"] == []
    assert (await desk.get("/sessions", user=user))["items"] == []
    assert (await desk.get("/traces", user=user))["items"] == []
    assert user not in [item["user"] for item in (await desk.get("/users"))["items"]]
    await desk.chat(user, "What is my sister's boat called?", session="later")
    assert b"zanzibar" not in desk.worker.received[-1].body


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_turn_under_way_is_not_learned(desk: Desk, user: str, streamed: bool) -> None:
    """Asked before the user was forgotten and answered after: the answer comes, and nothing is kept of it, nor of its
    place and its trace; the certificate holds. What is said later is kept."""
    asked, release = len(desk.worker.received), asyncio.Event()
    desk.worker.reply(replace(STREAM if streamed else desk.worker.default, held=release))
    speaking = asyncio.create_task(desk.chat(user, "My boat is called zanzibar.", session="talk"))
    while len(desk.worker.received) == asked:
        await asyncio.sleep(0.01)
    certificate = await desk.post("/forget", user=user)
    release.set()
    await speaking

    assert (await desk.post("/forget/verify", certificate))["forgotten"] is True
    assert b'reason="forgotten"' in (await desk.client.get("/metrics")).content
    await desk.chat(user, "My boat is called timbuktu.", session="talk")
    assert [m["text"] for m in (await desk.get("/memories", user=user))["items"]] == ["My boat is called timbuktu."]


async def test_the_certificate_tells_counts_and_no_words(desk: Desk, user: str) -> None:
    """Who, when, how much was erased, that nothing remains; never what it was."""
    await live(desk, user, "zanzibar")
    certificate = await desk.post("/forget", user=user)

    assert (certificate["tenant"], certificate["user"]) == ("acme", user)
    assert certificate["erased"]["turns"] == 2
    assert certificate["erased"]["memories"] == 3
    assert certificate["erased"]["sessions"] >= 4
    assert set(certificate["remains"].values()) == {0}
    assert "zanzibar" not in str(certificate)


async def test_a_genuine_certificate_is_verified(desk: Desk, user: str) -> None:
    """As it was issued, in any order of its members."""
    await live(desk, user, "zanzibar")
    certificate = await desk.post("/forget", user=user)
    verdict = await desk.post("/forget/verify", dict(reversed(certificate.items())))

    held = dict.fromkeys(["turns", "memories", "sessions", "thoughts"], 0)
    assert verdict == {"genuine": True, "held": held, "forgotten": True}


async def test_verifying_sees_who_came_back(desk: Desk, user: str) -> None:
    """The certificate stays genuine, but the user is no longer forgotten."""
    certificate = await desk.post("/forget", user=user)
    await desk.note(user, "Back again.")
    verdict = await desk.post("/forget/verify", certificate)

    assert (verdict["genuine"], verdict["forgotten"], verdict["held"]["memories"]) == (True, False, 1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def certificate(desk: Desk) -> dict[str, Any]:
    """A certificate that this gateway issued."""
    await desk.note("forged", "A fact.")
    issued: dict[str, Any] = await desk.post("/forget", user="forged")
    return issued


@pytest.mark.parametrize(
    "forged",
    [
        {"user": "somebody else"},
        {"tenant": "globex"},
        {"at": 1.0},
        {"erased": {"turns": 0, "memories": 0, "sessions": 0}},
        {"remains": {}},
        {"issuer": "mneme 9"},
        {"id": "x"},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "A" * 43},
    ],
)
async def test_a_forged_certificate_fails(desk: Desk, certificate: dict[str, Any], forged: dict[str, Any]) -> None:
    """Whatever was changed, it is not ours any more, and nothing is told of anybody."""
    verdict = await desk.post("/forget/verify", {**certificate, **forged})

    assert verdict == {"genuine": False, "held": None, "forgotten": False}


async def test_another_installations_certificate_fails(desk: Desk, user: str, tmp_path: Path) -> None:
    """Only the data directory that forgot can say so."""
    async with open_desk(tmp_path) as other:
        certificate = await other.post("/forget", user=user)

    assert (await desk.post("/forget/verify", certificate))["genuine"] is False


async def test_forgetting_leaves_namesakes_alone(desk: Desk, user: str) -> None:
    """A user of the same name at another tenant, and one with a longer name, keep everything."""
    for tenant, name in [("acme", user), ("globex", user), ("acme", f"{user}:2")]:
        await desk.note(name, "A fact.", tenant=tenant)
    await desk.post("/forget", user=user)

    assert len((await desk.get("/memories", user=user, tenant="globex"))["items"]) == 1
    assert len((await desk.get("/memories", user=f"{user}:2"))["items"]) == 1
