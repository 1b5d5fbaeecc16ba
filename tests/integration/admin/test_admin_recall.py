"""/admin/recall: what would be injected, told without doing it."""

from typing import Any

import orjson
import pytest

from gateway.memory.records import Scope
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

_QUESTION = {"model": "m", "temperature": 0.5, "messages": [{"role": "user", "content": "Where are my sister's bees?"}]}


async def taught(desk: Desk, user: str) -> None:
    """A user about whom something is known."""
    await desk.note(user, "The user's sister keeps bees in Riga.")
    await desk.note(user, "Prefers answers in Latvian.", pinned=True)


async def really_sent(desk: Desk, user: str, session: str, body: dict[str, Any]) -> bytes:
    """The body that the worker gets for a real request."""
    headers = {"authorization": "Bearer acme-key", "x-mneme-user": user, "x-mneme-session": session}
    said = await desk.client.post("/v1/chat/completions", content=orjson.dumps(body), headers=headers)
    assert said.status_code == 200
    return desk.worker.received[-1].body


async def test_a_preview_equals_what_is_then_sent(desk: Desk, user: str) -> None:
    """Byte for byte the body that the worker gets when the same is really asked."""
    await taught(desk, user)
    preview = await desk.post("/recall", _QUESTION, user=user, session="s")
    sent = await really_sent(desk, user, "s", _QUESTION)

    assert "bees in Riga" in preview["text"]
    assert preview["body"].encode() == sent


async def test_a_preview_in_the_middle_of_a_conversation_equals_it_too(desk: Desk, user: str) -> None:
    """What earlier turns were given stands where it stood, and only the rest is new."""
    await taught(desk, user)
    await really_sent(desk, user, "s", _QUESTION)
    history = [
        *_QUESTION["messages"],
        {"role": "assistant", "content": "In Riga."},
        {"role": "user", "content": "Latvian?"},
    ]  # type: ignore[misc]
    body = {**_QUESTION, "messages": history, "memory": {"tokens": 300}}
    preview = await desk.post("/recall", body, user=user, session="s")

    assert "bees in Riga" in preview["replayed"]
    assert preview["body"].encode() == await really_sent(desk, user, "s", body)


async def test_a_preview_explains_every_hit(desk: Desk, user: str) -> None:
    """Signals and score of each, and why it would not enter."""
    await taught(desk, user)
    preview = await desk.post("/recall", {**_QUESTION, "memory": {"tokens": 0}}, user=user)

    assert (preview["text"], preview["tokens"]) == ("", 0)
    assert {hit["dropped"] for hit in preview["hits"]} <= {"over budget", "weak evidence"}
    assert all(hit["signals"] for hit in preview["hits"])


async def test_a_preview_leaves_nothing_behind(desk: Desk, user: str) -> None:
    """No turn, no placement, no trace, and the worker hears nothing."""
    await taught(desk, user)
    heard = len(desk.worker.received)
    before = await desk.gateway.services.curator.held(Scope("acme", user))
    await desk.post("/recall", _QUESTION, user=user, session="s")

    assert await desk.gateway.services.curator.held(Scope("acme", user)) == before
    assert (await desk.get("/sessions", user=user))["items"] == []
    assert len(desk.worker.received) == heard


async def test_a_preview_knows_only_its_user(desk: Desk, user: str) -> None:
    """The user of the query counts, also when the body names another."""
    await taught(desk, user)
    preview = await desk.post("/recall", {**_QUESTION, "user": user}, user="somebody else")

    assert (preview["text"], preview["hits"]) == ("", [])


async def test_the_body_may_name_the_user(desk: Desk, user: str) -> None:
    """A logged request can be replayed as it is."""
    await taught(desk, user)

    assert "bees in Riga" in (await desk.post("/recall", {**_QUESTION, "user": user}))["text"]


async def test_a_preview_of_nobody_is_refused(desk: Desk) -> None:
    """Without any user there is nothing to look into."""
    refused = await desk.client.post("/admin/recall", params={"tenant": "acme"}, json=_QUESTION)

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "user")


async def test_a_conversation_without_a_user_message_passes_as_it_is(desk: Desk, user: str) -> None:
    """Memory has nothing to act on, and says so."""
    body = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}], "memory": {"tokens": 9}}
    preview = await desk.post("/recall", body, user=user)

    assert preview["skipped"] == ["no-user-message"]
    assert orjson.loads(preview["body"]) == {"model": "m", "messages": body["messages"]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": "x"},
        {"messages": [3]},
        {"messages": [{"role": 3}]},
        {**_QUESTION, "memory": 3},
        {**_QUESTION, "memory": {"policy": "psychic"}},
        {**_QUESTION, "memory": {"colour": "red"}},
        {**_QUESTION, "user": "x" * 600},
    ],
)
async def test_what_is_no_chat_is_refused(desk: Desk, user: str, body: dict[str, Any]) -> None:
    """A body that memory could not act on is a 400 that says why."""
    refused = await desk.client.post("/admin/recall", params={"tenant": "acme", "user": user}, json=body)

    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
