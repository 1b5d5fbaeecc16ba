"""With MNEME_WARM, a prompt that compaction will begin anew is computed by the worker before it is asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from tests.e2e.worker import flat
from tests.integration.workers.conftest import FAR, known, models, told
from tests.support.gateway import Running, running_gateway
from tests.support.raw import chat
from tests.support.upstream import Received, Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

WINDOW = 2000
SYSTEM = {"role": "system", "content": "You keep a log. " * 20}
LONG = "The log is kept with care, and nothing else is due. " * 12
SHORT = "Aye."


def reply(text: str) -> Reply:
    """An answer that says this."""
    message = {"role": "assistant", "content": text}
    return told({"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})


@asynccontextmanager
async def house(data: Path, says: str, *, warm: bool = True) -> AsyncIterator[tuple[Upstream, Running]]:
    """A worker with a small window that always says the same, and a gateway that foresees, or does not."""
    async with scripted_upstream() as worker:
        worker.models, worker.kv = models({**FAR, "max_model_len": WINDOW}), told(REPORT)
        worker.default, worker.tokenize = reply(says), told({"count": 99})
        async with running_gateway(data, worker.url, warm=warm) as gateway:
            await known(gateway)
            yield worker, gateway


async def talk(gateway: Running, says: str, turns: int, **fields: Any) -> None:
    """So many turns."""
    messages: list[Any] = [SYSTEM]
    for number in range(turns):
        messages.append({"role": "user", "content": f"Entry {number}: the harbour looked like number {number * 37}."})
        answer = await chat(gateway.port, "", model="far/model", messages=messages, **fields)
        assert answer.status == 200
        messages.append({"role": "assistant", "content": says})


def warming(received: list[Received]) -> list[dict[str, Any]]:
    """What nobody asked for but us."""
    bodies = [orjson.loads(one.body) for one in received]
    return [body for body in bodies if body.get("max_tokens") == 1]


def warmed(gateway: Running, result: str) -> float:
    """How often it ended so."""
    return float(gateway.services.telemetry.warmed.labels(result)._value.get())


async def until(gateway: Running, result: str) -> None:
    """Return when it has ended so once."""
    async with asyncio.timeout(20):
        while not warmed(gateway, result):
            await asyncio.sleep(0.01)


async def test_the_prompt_behind_a_compaction_was_computed_for_itself(tmp_path: Path) -> None:
    """Every warming prompt has all of a real one that began anew, up to its question, and the same salt and sink."""
    async with house(tmp_path, LONG) as (worker, gateway):
        await talk(gateway, LONG, 16, temperature=0.5, stream=False, vllm_xargs={"kv_window": 512})
        await until(gateway, "warmed")

    bodies = [orjson.loads(one.body) for one in worker.received]
    real = [body for body in bodies if body.get("max_tokens") != 1]
    begun = [b for a, b in pairwise(real) if not flat(b["messages"]).startswith(flat(a["messages"]))]
    asked_for = [body for body in warming(worker.received) if "Entry 15" not in body["messages"][-1]["content"]]
    assert asked_for
    for body in asked_for:
        (meant,) = [b for b in begun if flat(b["messages"]).startswith(flat(body["messages"][:-1]))]
        assert body.keys() == {"model", "messages", "cache_salt", "vllm_xargs", "max_tokens"}
        assert body["vllm_xargs"] == meant["vllm_xargs"] == {"kv_sink": 128, "kv_window": 512}
        assert body["cache_salt"] == meant["cache_salt"]


async def test_it_is_off_unless_it_is_switched_on(tmp_path: Path) -> None:
    """A guess costs the worker's time, so it is the operator's to allow."""
    async with house(tmp_path, LONG, warm=False) as (worker, gateway):
        await talk(gateway, LONG, 12)
        await asyncio.sleep(0.2)

    assert warming(worker.received) == []


async def test_what_only_the_question_decides_is_not_guessed(tmp_path: Path) -> None:
    """Short replies never outgrow the window by themselves before the next question does."""
    async with house(tmp_path, SHORT) as (worker, gateway):
        await talk(gateway, SHORT, 8)
        await asyncio.sleep(0.2)

    assert (warming(worker.received), warmed(gateway, "needless")) == ([], 0)


async def test_nothing_of_it_is_remembered(tmp_path: Path) -> None:
    """No turn, no placement, no trace: as many of each as the user had turns."""
    async with house(tmp_path, LONG) as (_, gateway):
        await talk(gateway, LONG, 12)
        await until(gateway, "warmed")
        await gateway.indexed()
        async with gateway.client() as client:
            sessions = (await client.get("/admin/sessions")).json()["items"]
            traces = (await client.get("/admin/traces", params={"limit": 50})).json()["items"]

    assert [session["turns"] for session in sessions] == [12]
    assert len(traces) == 12


async def test_a_worker_that_fails_at_it_fails_nobody(tmp_path: Path) -> None:
    """It is counted, and the conversation goes on."""

    def answering(received: Received) -> Reply:
        return Reply(500) if orjson.loads(received.body).get("max_tokens") == 1 else reply(LONG)

    async with house(tmp_path, LONG) as (worker, gateway):
        worker.answering = answering
        await talk(gateway, LONG, 12)
        await until(gateway, "failed")
        await talk(gateway, LONG, 1)

    assert warmed(gateway, "warmed") == 0


@asynccontextmanager
async def stock(data: Path, policy: str) -> AsyncIterator[tuple[Upstream, Running]]:
    """A stock worker with room for everything, and a gateway that foresees."""
    async with scripted_upstream() as worker:
        worker.models, worker.default = models({**FAR, "max_model_len": 100_000}), reply(SHORT)
        async with running_gateway(data, worker.url, warm=True, policy=policy) as gateway:
            await known(gateway)
            yield worker, gateway


async def pin(gateway: Running, text: str) -> None:
    """Have something stand at the head of every new conversation, as reflection does with what is hot."""
    async with gateway.client() as client:
        assert (await client.post("/admin/memories", json={"text": text, "pinned": True})).status_code == 201


def contents(messages: list[dict[str, Any]]) -> list[str]:
    """What the messages say."""
    return [message["content"] for message in messages]


async def test_what_came_to_the_head_is_computed_before_the_next_conversation(tmp_path: Path) -> None:
    """Once, as soon as somebody of the user's speaks; and the next conversation begins with exactly that, to the end of
    the last pinned line, under the same salt."""
    async with stock(tmp_path, "memos") as (worker, gateway):
        await talk(gateway, SHORT, 1)
        await pin(gateway, "Answers in Latvian are wanted.")
        await talk(gateway, SHORT, 3)
        await until(gateway, "opened")
        await talk(gateway, SHORT, 3)
        other = [SYSTEM, {"role": "user", "content": "Good morning."}]
        await chat(gateway.port, "", model="far/model", messages=other)

    (opening,) = warming(worker.received)
    begun = orjson.loads(worker.received[-1].body)
    system, head = contents(opening["messages"])
    assert "Answers in Latvian are wanted." in head
    assert contents(begun["messages"])[0] == system
    assert contents(begun["messages"])[1].startswith(head.removesuffix("</mneme-memory>"))
    assert opening["cache_salt"] == begun["cache_salt"]
    assert opening.keys() == {"model", "messages", "cache_salt", "max_tokens"}


async def test_an_opening_that_a_conversation_has_just_had_is_not_computed_again(tmp_path: Path) -> None:
    """What was pinned before it began is in the worker's cache already."""
    async with stock(tmp_path, "memos") as (worker, gateway):
        await pin(gateway, "Answers in Latvian are wanted.")
        await talk(gateway, SHORT, 4)
        await asyncio.sleep(0.2)

    assert warming(worker.received) == []


async def test_a_policy_that_does_not_think_changes_no_head(tmp_path: Path) -> None:
    """What an operator pins is worth no guess."""
    async with stock(tmp_path, "verbatim") as (worker, gateway):
        await talk(gateway, SHORT, 1)
        await pin(gateway, "Answers in Latvian are wanted.")
        await talk(gateway, SHORT, 3)
        await asyncio.sleep(0.2)

    assert warming(worker.received) == []
