"""/admin/reflections: what thinking changed, taken back; and what was made, found by who made it and when."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from gateway.memory.records import Memory, Scope
from gateway.memory.thoughts import Thought
from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACT = "My sister Ada keeps bees in Riga."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A desk that thinks about every turn at once, without a model."""
    async with open_desk(tmp_path_factory.mktemp("data"), policy="exprag", reflect_turns=1) as opened:
        yield opened


async def thought(desk: Desk) -> None:
    """Nothing is left to be thought about."""
    agenda = desk.gateway.services.reviser.agenda
    async with asyncio.timeout(20):
        while await agenda.waiting():
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)


async def told(desk: Desk, user: str, *texts: str) -> list[dict[str, Any]]:
    """What was said in a conversation each, indexed and thought about; the reflections, latest first."""
    for number, text in enumerate(texts):
        await desk.chat(user, text, session=f"{user} {number}")
        await thought(desk)
    items: list[dict[str, Any]] = (await desk.get("/reflections", user=user))["items"]
    return items


async def undo(desk: Desk, user: str, id: str) -> tuple[int, dict[str, Any]]:
    """Taken back, or not."""
    answer = await desk.client.post(f"/admin/reflections/{id}/undo", params={"tenant": "acme", "user": user})
    return answer.status_code, answer.json()


async def test_reflections_are_listed_with_what_they_came_to(desk: Desk, user: str) -> None:
    """Latest first: policy, turns, state, how much of what, and the cost; no text."""
    latest, first = await told(desk, user, FACT, "My brother Olaf sails.")

    assert first["at"] <= latest["at"] and first["turns"] != latest["turns"]
    assert {name: latest[name] for name in ("policy", "state", "made", "changed", "removed", "refused", "error")} == {
        "policy": "exprag",
        "state": "applied",
        "made": 1,
        "changed": 0,
        "removed": 0,
        "refused": [],
        "error": "",
    }
    assert (latest["calls"], latest["tokens"]) == (0, 0)
    assert "Olaf" not in str(latest)


async def test_a_list_may_be_narrowed(desk: Desk, user: str) -> None:
    """By policy and by state, page after page."""
    ids = [one["id"] for one in await told(desk, user, *(f"Fact {n} about me is odd." for n in range(5)))]
    await undo(desk, user, ids[1])

    pages = await desk.pages("/reflections", user=user, state="applied", limit=2)
    assert [one["id"] for page in pages for one in page] == [ids[0], *ids[2:]]
    assert max(map(len, pages)) <= 2
    assert (await desk.get("/reflections", user=user, policy="scm"))["items"] == []
    assert len((await desk.get("/reflections", user=user, policy="exprag"))["items"]) == 5


async def test_a_reflection_tells_what_was_before_and_after(desk: Desk, user: str) -> None:
    """The memory that it made, whole; nothing was there before."""
    (card,) = await told(desk, user, FACT)
    one = await desk.get(f"/reflections/{card['id']}", user=user)

    (made,) = one["after"]
    assert one["before"] == [] and made["text"] == FACT and made["thought"]["reflection"] == card["id"]
    assert made == await desk.get(f"/memories/{made['id']}", user=user)
    assert (await desk.get("/memories", user=user, policy="exprag"))["items"] == [made]
    assert {m["kind"] for m in (await desk.get("/memories", user=user))["items"]} == {"turn", "experience"}


async def test_a_reflection_is_taken_back_once(desk: Desk, user: str) -> None:
    """What it made is gone, from memory and from the conversations where it was injected; a second time is a 409."""
    (card,) = await told(desk, user, FACT)
    await desk.client.post(
        "/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "Where does my sister keep bees?"}]},
        headers={"authorization": "Bearer acme-key", "x-mneme-user": user, "x-mneme-session": "asked"},
    )
    assert b"bees in Riga" in desk.worker.received[-1].body

    status, undone = await undo(desk, user, card["id"])

    assert (status, undone["state"], undone["refused"]) == (200, "undone", [])
    assert (await desk.get("/memories", user=user, policy="exprag"))["items"] == []
    (placed,) = (await desk.pages("/turns", user=user, session="asked")) or [[]]
    assert all("bees in Riga" not in each["placed"]["text"] for each in placed)
    again, refused = await undo(desk, user, card["id"])
    assert (again, "undone" in refused["error"]["message"]) == (409, True)
    assert (await desk.get("/memories", user=user, kind="turn"))["items"]


async def test_taking_back_is_in_the_audit_log_and_counted(desk: Desk, user: str) -> None:
    """Who, whose, and which; and the metric tells of it."""
    (card,) = await told(desk, user, FACT)
    await undo(desk, user, card["id"])

    (line,) = [act for act in (await desk.get("/audit", limit=200))["items"] if act["target"] == card["id"]]
    assert (line["what"], line["user"], line["outcome"]) == ("POST /admin/reflections/{id}/undo", user, "200")
    metrics = (await desk.client.get("/metrics")).text
    assert 'mneme_reflections_total{policy="exprag",result="undone"}' in metrics


async def test_others_reflections_are_as_unknown_as_none(desk: Desk, user: str) -> None:
    """A 404, to look at and to take back."""
    (card,) = await told(desk, user, FACT)

    for whose, id in (("somebody else", card["id"]), (user, "nobody")):
        assert (await undo(desk, whose, id))[0] == 404
        looked = await desk.client.get(f"/admin/reflections/{id}", params={"tenant": "acme", "user": whose})
        assert (looked.status_code, looked.json()["error"]["param"]) == (404, "id")
    assert (await desk.get("/reflections", user="somebody else"))["items"] == []


async def test_stats_tell_what_is_due_and_what_was_spent(desk: Desk, user: str) -> None:
    """Nothing waits, and nothing was asked of a model."""
    await told(desk, user, FACT)
    stats = await desk.get("/stats")

    assert stats["due"] == 0
    assert [one["spent"] for one in stats["tenants"]] == [{"calls": 0, "tokens": 0}] * 2


async def lived(desk: Desk, user: str) -> list[str]:
    """A fact that took another one's place; the ids, the former first."""
    scope, at = Scope("acme", user), 1_777_593_600.0
    over = Memory(
        "old", scope, "s", "Ada lives in Bern.", kind="fact", status="superseded", at=at, thought=Thought("tim")
    )
    over = replace(over, thought=replace(over.thought or Thought(""), until=at + 100))
    holds = replace(over, id="new", text="Ada lives in Riga.", status="active", at=at + 100, thought=Thought("tim"))
    await desk.gateway.services.curator.add([over, holds])
    return [over.id, holds.id]


async def test_what_was_superseded_can_be_listed(desk: Desk, user: str) -> None:
    """Beside what holds."""
    old, new = await lived(desk, user)

    assert [m["id"] for m in (await desk.get("/memories", user=user, status="superseded"))["items"]] == [old]
    assert [m["id"] for m in (await desk.get("/memories", user=user, policy="tim", status="active"))["items"]] == [new]


async def test_a_search_may_look_back(desk: Desk, user: str) -> None:
    """In either spelling of a moment; without one it is about now."""
    await lived(desk, user)

    async def found(**more: Any) -> list[str]:
        hits = (await desk.get("/search", user=user, q="Where does Ada live?", policy="tim", **more))["hits"]
        return [hit["memory"]["text"] for hit in hits]

    assert await found() == ["Ada lives in Riga."]
    assert await found(as_of="2026-05-01T00:00:50Z") == await found(as_of="1777593650") == ["Ada lives in Bern."]
    assert await found(as_of="2026-04-30") == []


@pytest.mark.parametrize("as_of", ["yesterday", "-1", "1e3", "99999999999999", "²"])
async def test_a_moment_that_is_none_is_refused(desk: Desk, user: str, as_of: str) -> None:
    """The refusal names the parameter."""
    asked = {"tenant": "acme", "user": user, "q": "Where?", "as_of": as_of}
    refused = await desk.client.get("/admin/search", params=asked)

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "as_of")


async def test_a_request_may_look_back(desk: Desk, user: str) -> None:
    """`memory.as_of` in a chat's body: the worker gets what was believed then, and not the option."""
    await lived(desk, user)
    for as_of, place in (("2026-05-01T00:00:50Z", b"in Bern."), (1_777_600_000, b"in Riga.")):
        memory = {"policy": "tim", "as_of": as_of}
        who = {"x-mneme-user": user, "x-mneme-session": str(as_of), "x-mneme-memory": "read"}
        said = await desk.client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "Where does Ada live?"}], "memory": memory},
            headers={"authorization": "Bearer acme-key", **who},
        )
        body = desk.worker.received[-1].body

        assert said.status_code == 200 and place in body and b"as_of" not in body
        assert body.count(b"Ada lives in") == 1


def _between(former: int, latter: int | None = None) -> dict[str, Any]:
    """The query, whose names are no Python."""
    return {"from": former, "to": latter} if latter else {"from": former}


async def test_two_versions_are_compared_by_words(desk: Desk, user: str) -> None:
    """As the history numbers them; the later one is the current unless it is named."""
    note = await desk.note(user, "Ada lives in Bern.")
    whose = {"tenant": "acme", "user": user}
    for text in ("Ada lives in Riga.", "Ada lives in old Riga."):
        match = {"if-match": "*"}
        await desk.client.patch(f"/admin/memories/{note['id']}", params=whose, json={"text": text}, headers=match)

    told = await desk.get(f"/memories/{note['id']}/diff", user=user, **_between(1, 2))
    assert (told["former"], told["latter"]) == (1, 2)
    assert told["runs"] == [
        {"op": "equal", "text": "Ada lives in"},
        {"op": "delete", "text": " Bern"},
        {"op": "insert", "text": " Riga"},
        {"op": "equal", "text": "."},
    ]
    assert (await desk.get(f"/memories/{note['id']}/diff", user=user, **_between(2)))["latter"] == 3
    for query, param in (({"from": 4}, "from"), ({"from": 1, "to": 9}, "to")):
        refused = await desk.client.get(f"/admin/memories/{note['id']}/diff", params={**whose, **query})
        assert (refused.status_code, refused.json()["error"]["param"]) == (404, param)
