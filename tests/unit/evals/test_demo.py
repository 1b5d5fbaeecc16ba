"""The demo against a real gateway over a real socket: what is told, what is found again, what is left behind."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.evals.ask import chosen, newest_first
from gateway.evals.demo import Plan, run
from gateway.evals.door import DoorShut
from gateway.evals.locomo import DatasetRefused, parse
from tests.support.gateway import ROOT, Running, running_gateway
from tests.support.upstream import Received, Reply, Upstream, scripted_upstream

ADMIN_KEY = "admin"
TALK = {
    "sample_id": "harbour",
    "conversation": {
        "session_1": [
            {"speaker": "Ines", "dia_id": "D1:1", "text": "I sold my sailing boat to a dentist from Bergen."},
            {"speaker": "Tor", "dia_id": "D1:2", "text": "Our bakery won the regional rye bread prize."},
        ],
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_2": [
            {"speaker": "Ines", "dia_id": "D2:1", "text": "Look at it!", "blip_caption": "a green bicycle"},
        ],
        "session_2_date_time": "9:00 am on 2 June, 2023",
    },
    "qa": [
        {"question": "To whom did Ines sell her sailing boat?", "category": 4, "evidence": ["D1:1"]},
        {"question": "Which prize did the bakery win?", "category": 1, "evidence": ["D1:2", "D9:9"]},
        {"question": "What did nobody say?", "category": 5, "evidence": []},
    ],
}


def answering(received: Received) -> Reply:
    """A worker that shows its prompt when it is asked to, as vLLM does."""
    asked = json.loads(received.body)
    answer: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Noted."}}],
    }
    if asked.get("return_prompt_text"):
        answer["prompt_text"] = "\n".join(f"<{m['role']}> {m['content']}" for m in asked["messages"])
    return Reply(chunks=(json.dumps(answer).encode(),))


@dataclass
class Acts:
    """What came of a few demos, one after another, before one gateway."""

    sent: list[dict[str, Any]]
    said: list[str]
    written: Any
    metrics: str
    memories: int
    """What the kept user's memories were, by number."""
    forgotten: tuple[bool, int]
    """Of a demo that forgets: what it returned, and how many memories were left."""
    refused: tuple[bool, list[str]]
    """Of a demo that may not forget: what it returned, and what it said."""
    hidden: str
    """How a demo ended whose worker hides its prompt."""
    broken: str
    """How a demo ended whose worker fails."""


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> Acts:
    """One gateway for the whole file: starting it takes longer than all that is asked of it."""
    return asyncio.run(perform(tmp_path_factory.mktemp("demo")))


async def perform(folder: Path) -> Acts:
    """Put on all demos."""
    plan = Plan(
        file=folder / "talks.json",
        base_url="",
        key="mneme-local",
        admin_key=ADMIN_KEY,
        tenant="local",
        conversations=None,
        questions=None,
        keep=True,
        json=folder / "out.json",
    )
    plan.file.write_text(json.dumps([TALK]))
    async with (
        scripted_upstream() as upstream,
        running_gateway(folder / "data", upstream.url, admin_key=ADMIN_KEY) as gateway,
    ):
        upstream.answering = answering
        upstream.models = Reply(chunks=(b'{"object":"list","data":[{"id":"m","object":"model"}]}',))
        return await play(replace(plan, base_url=f"{gateway.url}/v1"), gateway, upstream)


async def play(plan: Plan, gateway: Running, upstream: Upstream) -> Acts:
    """The demos, in order."""
    assert plan.json is not None
    said: list[str] = []
    await run(plan, said.append)
    sent = [json.loads(received.body) for received in upstream.received]
    written = json.loads(plan.json.read_bytes())
    async with gateway.client(headers={"authorization": f"Bearer {ADMIN_KEY}"}) as client:
        metrics = (await client.get("/metrics")).text
        kept = await memories_of(client, written)
        forgotten = await run(replace(plan, keep=False), said.append)
        left = await memories_of(client, json.loads(plan.json.read_bytes()))
    protests: list[str] = []
    refused = await run(replace(plan, keep=False, admin_key="another"), protests.append)
    upstream.answering = lambda received: answering(
        replace(received, body=received.body.replace(b"return_prompt_text", b"other"))
    )
    hidden = await outcome(plan)
    upstream.answering = lambda _: Reply(status=500, chunks=(b'{"error": {"message": "no room"}}',))
    broken = await outcome(plan)
    return Acts(sent, said, written, metrics, kept, (forgotten, left), (refused, protests), hidden, broken)


async def memories_of(client: httpx.AsyncClient, written: Any) -> int:
    """How many memories the demo's user has."""
    who = {"tenant": "local", "user": written["conversations"][0]["user"]}
    return len((await client.get("/admin/memories", params=who)).raise_for_status().json()["items"])


async def outcome(plan: Plan) -> str:
    """The message with which the demo ends."""
    with pytest.raises(DoorShut) as caught:
        await run(plan, lambda _: None)
    return caught.value.message


def test_what_was_told_is_found_again(acts: Acts) -> None:
    """Every evidence turn of a small conversation stands in the prompt of its question."""
    overall = acts.written["overall"]

    assert [overall[name] for name in ("questions", "evidence", "found", "complete")] == [2, 2, 2, 2]


def test_what_was_just_told_is_found_at_once(acts: Acts) -> None:
    """Read your writes: the questions that do not wait for the writer find the same."""
    assert acts.written["at_once"]["then"]["found"] == acts.written["at_once"]["indexed"]["found"] == 2


def test_the_tokens_and_milliseconds_are_the_gateways_own(acts: Acts) -> None:
    """They come from the answer's headers, and something was injected."""
    assert all(one["tokens"] > 0 and one["millis"] > 0 and one["trace"] for one in acts.written["questions"])


def test_a_session_sends_its_history_again(acts: Acts) -> None:
    """The second turn comes after the first and its answer; another session starts anew."""
    roles = [[message["role"] for message in body["messages"]] for body in acts.sent[:3]]

    assert roles == [["user"], ["user", "assistant", "user"], ["user"]]


def test_a_turn_carries_its_caption(acts: Acts) -> None:
    """The image's caption is part of what is told."""
    assert "Ines: Look at it! [image: a green bicycle]" in acts.sent[2]["messages"][-1]["content"]


def test_the_datasets_dates_reach_the_prompt(acts: Acts) -> None:
    """What was said on 8 May 2023 is recalled as of that day."""
    assert "08 May 2023" in acts.sent[-1]["messages"][-1]["content"]


def test_questions_are_not_learned(acts: Acts) -> None:
    """Only the turns were journalled."""
    assert 'mneme_turns_total{ending="final"} 3.0' in acts.metrics


def test_what_was_left_out_is_said(acts: Acts) -> None:
    """One evidence id that no turn has, one question without evidence."""
    assert "Left out: 1 evidence ids that no turn has, 1 questions without evidence." in acts.said[0]


def test_the_users_are_named_when_they_are_kept(acts: Acts) -> None:
    """So that one can go on talking to them."""
    user = acts.written["conversations"][0]["user"]

    assert (acts.said[2], acts.memories) == (f"harbour is remembered as user {user}.", 3)


def test_the_users_are_forgotten_at_the_end(acts: Acts) -> None:
    """Nothing of the demo stays in the gateway."""
    assert acts.forgotten == (True, 0)


def test_a_user_that_cannot_be_forgotten_is_named(acts: Acts) -> None:
    """The figures are still told, and the demo does not call itself a success."""
    success, said = acts.refused

    assert (success, "overall" in said[0], "was not forgotten" in said[-1]) == (False, True, True)


def test_a_worker_that_hides_its_prompt_is_refused(acts: Acts) -> None:
    """Without prompt_text there is nothing to measure."""
    assert "prompt_text" in acts.hidden


def test_an_error_ends_the_demo_and_says_where(acts: Acts) -> None:
    """A turn that was not told would make every later figure wrong."""
    assert "session_1 of demo-" in acts.broken and "no room" in acts.broken


async def test_a_file_that_is_not_there_is_refused() -> None:
    """Before anything is started or sent."""
    plan = Plan(Path("nowhere.json"), "", "", "", "", None, None, keep=False, json=None)

    with pytest.raises(DatasetRefused, match="cannot be read"):
        await run(plan, lambda _: None)


@pytest.mark.slow
def test_the_command_starts_a_gateway_of_its_own(tmp_path: Path) -> None:
    """Without --base-url: a gateway with the embedded reader, which is gone at the end with all that it and the
    libraries under it stored (ONNX Runtime's telemetry would leave a file)."""
    file = tmp_path / "talks.json"
    file.write_text(json.dumps([TALK]))
    command = [sys.executable, "-m", "gateway.evals", "demo", str(file), "--conversations", "1"]
    env = {**os.environ, "TMPDIR": str(tmp_path), "MNEME_RECALL_DEADLINE": "2"}

    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False)

    assert (done.returncode, "2/2 (100.0%)" in done.stdout, [*tmp_path.iterdir()]) == (0, True, [file]), done.stderr


def test_chosen_questions_are_spread_over_the_file() -> None:
    """LoCoMo lists its categories one after another, so the first ones would be of one kind."""
    asked = [{"question": str(i), "category": 1, "evidence": ["D1:1"]} for i in range(10)]
    (dialogue,) = parse(json.dumps([{**TALK, "qa": asked}]).encode())

    assert [question.text for question in chosen(dialogue, 4)] == ["0", "2", "5", "7"]


def test_the_newest_evidence_is_asked_for_first() -> None:
    """What was said last is the least likely to be indexed already."""
    asked = [{"question": id, "category": 1, "evidence": [id]} for id in ("D1:2", "D2:1", "D1:1")]
    (dialogue,) = parse(json.dumps([{**TALK, "qa": asked}]).encode())

    assert [question.text for question in newest_first(dialogue, dialogue.questions)] == ["D2:1", "D1:2", "D1:1"]
