"""/admin/users, sessions, turns and traces: who said what, and why an answer was as it was."""

import pytest

from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_users_are_counted_page_by_page(desk: Desk) -> None:
    """Every user of the tenant once, in order, with the number of memories; nobody of another tenant."""
    for n in range(5):
        for _ in range(n + 1):
            await desk.note(f"counted-{n}", "A fact.", tenant="globex")
    pages = await desk.pages("/users", tenant="globex", limit=2)

    assert [len(page) for page in pages] == [2, 2, 1]
    told = [(item["user"], item["memories"]) for page in pages for item in page]
    assert told == [(f"counted-{n}", n + 1) for n in range(5)]


async def test_sessions_are_told_latest_first_page_by_page(desk: Desk, user: str) -> None:
    """Every conversation once, with its turns."""
    for n in range(5):
        await desk.chat(user, f"Hello number {n}.", session=f"talk-{n}")
    pages = await desk.pages("/sessions", user=user, limit=2)

    assert [item["session"] for page in pages for item in page] == [f"talk-{n}" for n in reversed(range(5))]
    assert {item["turns"] for page in pages for item in page} == {1}


async def test_turns_of_a_session_are_told_in_order(desk: Desk, user: str) -> None:
    """What was said, turn by turn, over several pages."""
    for n in range(5):
        await desk.chat(user, f"Hello number {n}.", session="talk")
    pages = await desk.pages("/turns", user=user, session="talk", limit=2)

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [item["turn"]["user_text"] for page in pages for item in page] == [f"Hello number {n}." for n in range(5)]


async def test_a_turn_that_was_not_retained_still_shows_what_was_placed(desk: Desk, user: str) -> None:
    """A read-only question leaves no turn, but its placement is told."""
    await desk.note(user, "The user's sister keeps bees in Riga.")
    headers = {
        "authorization": "Bearer acme-key",
        "x-mneme-user": user,
        "x-mneme-session": "s",
        "x-mneme-memory": "read",
    }
    body = {"model": "m", "messages": [{"role": "user", "content": "Where are my sister's bees?"}]}
    await desk.client.post("/v1/chat/completions", json=body, headers=headers)
    told = (await desk.get("/turns", user=user, session="s"))["items"][0]

    assert told["turn"] is None
    assert "bees in Riga" in told["placed"]["text"]


async def test_an_unknown_session_is_unknown(desk: Desk, user: str) -> None:
    """A session of nobody, or of somebody else, is a 404."""
    await desk.chat(user, "Hello.", session=f"{user}'s own")
    whose = {"tenant": "acme", "user": "somebody else", "session": f"{user}'s own"}

    assert (await desk.client.get("/admin/turns", params=whose)).status_code == 404


async def test_an_answers_trace_is_found_by_its_header(desk: Desk, user: str) -> None:
    """What was recalled, with signals, score and fate, under the id that the answer carried."""
    note = await desk.note(user, "The user's sister keeps bees in Riga.")
    said = await desk.chat(user, "Where does my sister keep bees?", session="talk")
    trace = await desk.get(f"/traces/{said.headers['x-mneme-trace']}", user=user)

    assert (trace["question"], trace["policy"]) == ("Where does my sister keep bees?", "verbatim")
    assert trace["hits"][0]["memory"]["id"] == note["id"]
    assert trace["hits"][0]["dropped"] == ""
    assert "bees in Riga" in trace["injected"]


async def test_traces_are_listed_latest_first_and_by_session(desk: Desk, user: str) -> None:
    """A user's traces, or those of one conversation."""
    for session in ("one", "two", "one"):
        await desk.chat(user, f"Hello in {session}, again and again.", session=session)
    every = (await desk.get("/traces", user=user))["items"]
    of_two = (await desk.get("/traces", user=user, session="two"))["items"]

    assert [trace["session"] for trace in every][:2] == ["one", "two"]
    assert {trace["session"] for trace in of_two} == {"two"}


async def test_anothers_trace_is_unknown(desk: Desk, user: str) -> None:
    """Another tenant, or another user who is named, gets a 404."""
    said = await desk.chat(user, "Hello.", session="talk")
    path = f"/admin/traces/{said.headers['x-mneme-trace']}"
    strangers = [{"tenant": "globex"}, {"tenant": "globex", "user": user}, {"tenant": "acme", "user": "somebody else"}]

    assert [(await desk.client.get(path, params=whose)).status_code for whose in strangers] == [404] * 3


async def test_stats_count_each_tenant(desk: Desk) -> None:
    """Users and memories per tenant that has a key, and what embeds."""
    before = {t["tenant"]: t for t in (await desk.get("/stats"))["tenants"]}
    await desk.note("somebody new", "A fact.")
    stats = await desk.get("/stats")
    after = {t["tenant"]: t for t in stats["tenants"]}

    assert (after["acme"]["users"], after["acme"]["memories"]) == (
        before["acme"]["users"] + 1,
        before["acme"]["memories"] + 1,
    )
    assert after["globex"] == before["globex"]
    assert stats["embedder"] == {"identity": "all-MiniLM-L6-v2", "dimension": 384}


async def test_policies_show_their_knobs(desk: Desk) -> None:
    """Every policy with its first line and its settings; one of them is the default."""
    cards = {card["name"]: card for card in (await desk.get("/policies"))["policies"]}

    assert {"none", "verbatim"} <= cards.keys()
    assert [name for name, card in cards.items() if card["default"]] == ["verbatim"]
    assert {"name": "radius", "type": "int", "value": 2} in cards["verbatim"]["knobs"]
