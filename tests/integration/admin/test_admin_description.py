"""/openapi.json and /docs: every route of /admin is described, shown by example, and answers as described."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.memory.records import Lag, Memory, Page, Trace
from gateway.routes.admin import memory_shapes, models
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def described(desk: Desk) -> Sequence[tuple[str, dict[str, Any]]]:
    """Every operation under /admin with its name."""
    api = (await desk.client.get("/openapi.json")).json()
    paths = [(path, verbs) for path, verbs in api["paths"].items() if path.startswith("/admin")]
    found = [(f"{verb} {path}", operation) for path, verbs in paths for verb, operation in verbs.items()]
    assert found
    return found


async def test_every_route_is_described(desk: Desk) -> None:
    """Summary, description, and a group to stand in."""
    bare = [
        name
        for name, operation in await described(desk)
        if not (operation["summary"] and operation["description"] and operation["tags"])
    ]

    assert bare == []


async def test_every_route_shows_an_answer(desk: Desk) -> None:
    """The success that it documents has an example."""
    bare = []
    for name, operation in await described(desk):
        (answer,) = [told for status, told in operation["responses"].items() if status.startswith("2")]
        if not any("example" in content for content in answer["content"].values()):
            bare.append(name)

    assert bare == []


async def test_every_route_shows_what_it_takes(desk: Desk) -> None:
    """A body is shown by example."""
    bare = []
    for name, operation in await described(desk):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" not in content and "examples" not in content["schema"]:
                bare.append(name)

    assert bare == []


async def test_every_route_documents_its_errors(desk: Desk) -> None:
    """As OpenAI words them."""
    assert [name for name, operation in await described(desk) if "4XX" not in operation["responses"]] == []


async def test_metrics_are_described_as_text(desk: Desk) -> None:
    """What /metrics answers is no JSON, and the description says so."""
    told = (await desk.client.get("/openapi.json")).json()["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
    got = await desk.client.get("/metrics")

    assert [*told] == [got.headers["content-type"].partition(";")[0]] == ["text/plain"]


async def test_the_page_of_the_docs_opens(desk: Desk) -> None:
    """/docs is HTML that loads the description."""
    page = await desk.client.get("/docs")

    assert (page.status_code, "/openapi.json" in page.text) == (200, True)


async def test_an_unknown_path_is_told_in_openais_words(desk: Desk) -> None:
    """404 and 405 have the same shape as every other error."""
    unknown, wrong = await desk.client.get("/admin/nope"), await desk.client.put("/admin/users")

    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert models.Refusal.model_validate(unknown.json()) and models.Refusal.model_validate(wrong.json())


async def test_answers_have_the_described_shapes(desk: Desk, user: str) -> None:
    """What is told and what is described are the same, member for member."""
    await desk.note(user, "The user's sister keeps bees in Riga.", pinned=True)
    said = await desk.chat(user, "Where does my sister keep bees?", session="talk")
    (note, turn) = sorted((await desk.get("/memories", user=user))["items"], key=lambda m: str(m["kind"]))
    question = {"model": "m", "messages": [{"role": "user", "content": "Where are the bees?"}]}
    imported = await desk.client.post("/admin/import", params={"tenant": "acme", "user": user}, content=b"{}\n")
    told: list[tuple[Any, Any]] = [
        (Page[Memory], await desk.get("/memories", user=user)),
        (Memory, note),
        (models.Found, await desk.get("/search", user=user, q="bees")),
        (models.History, await desk.get(f"/memories/{note['id']}/history", user=user)),
        (models.Provenance, await desk.get(f"/memories/{turn['id']}/provenance", user=user)),
        (memory_shapes.Counted, await desk.get("/memories/count", user=user)),
        (memory_shapes.Recalls, await desk.get(f"/memories/{note['id']}/recalls", user=user)),
        (memory_shapes.Changed, await desk.post("/memories/bulk", {"act": "pin", "ids": [note["id"]]}, user=user)),
        (models.Users, await desk.get("/users")),
        (models.Sessions, await desk.get("/sessions", user=user)),
        (models.Turns, await desk.get("/turns", user=user, session="talk")),
        (Page[Trace], await desk.get("/traces", user=user)),
        (Trace, await desk.get(f"/traces/{said.headers['x-mneme-trace']}")),
        (models.Preview, await desk.post("/recall", question, user=user)),
        (models.Preview, await desk.post("/recall", {"messages": [{"role": "system", "content": "x"}]}, user=user)),
        (models.Policies, await desk.get("/policies")),
        (models.Stats, await desk.get("/stats")),
        (Lag, await desk.get("/journal")),
        (models.Imported, imported.json()),
        (models.Deleted, await desk.post("/memories/delete", {"ids": ["x"]}, user=user)),
        (models.Replayed, await desk.post("/journal/replay", {"all": True})),
        (models.Certificate, certificate := await desk.post("/forget", user=user)),
        (models.Verdict, await desk.post("/forget/verify", certificate)),
    ]
    for shape, answer in told:
        adapter = TypeAdapter[Any](shape)

        assert adapter.dump_python(adapter.validate_python(answer), mode="json") == answer
