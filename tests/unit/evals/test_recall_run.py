"""`mneme eval recall` from end to end on a made-up file: embedded stores, a live gateway, reports, resuming."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.live import GatewayRefused
from gateway.evals.recall.run import Plan, run
from tests.support.evaluation import NOWHERE, conversation, small, unopened, written
from tests.support.gateway import ROOT, running_gateway

FACTS = {
    "ada": ["My sister Ada keeps bees in Riga.", "The train to Oslo was late again.", "We painted the kitchen green."],
    "bo": ["Bo plays the cello in a quartet.", "My dentist is called Dr. Winter.", "The old oak fell in the storm."],
}
QUESTIONS = {"ada": "Where does Ada keep her bees?", "bo": "Which instrument does Bo play?"}


@dataclass(frozen=True)
class Done:
    """What an evaluation left behind."""

    folder: Path
    report: dict[str, Any]
    said: str


def file(tmp_path: Path) -> Path:
    """Two conversations, each with one question about its first turn."""
    samples = [conversation(name, facts, {QUESTIONS[name]: 1}) for name, facts in FACTS.items()]
    return written(tmp_path / "talks.json", samples)


async def evaluate(tmp_path: Path, opener: Opener = small, **changes: Any) -> tuple[dict[str, Any], str]:
    """The JSON report and what was said."""
    said: list[str] = []
    plan = Plan(file=file(tmp_path), json=tmp_path / "out.json", **changes)
    await run(plan, opener, said.append)
    return json.loads((tmp_path / "out.json").read_bytes()), "\n".join(said)


def marks(folder: Path) -> dict[str, Any]:
    """The per-question file by conversation, without times."""
    lines = (folder / "out.questions.jsonl").read_text().splitlines()
    return {one["conversation"]: {**one, "millis": 0} for one in map(json.loads, lines)}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One evaluation of both conversations, for the tests that only look at what it left behind."""
    folder = tmp_path_factory.mktemp("done")
    report, said = asyncio.run(evaluate(folder, markdown=folder / "out.md"))
    return Done(folder, report, said)


def test_it_measures_the_embedded_stores(done: Done) -> None:
    """Both questions find the turn that answers them, first of all."""
    report = done.report

    assert report["overall"]["R@5 micro"]["value"] == 1.0
    assert (report["conversations"], report["turns"], report["questions"]) == (["ada", "bo"], 6, 2)


async def test_a_conversation_does_not_know_the_others(done: Done, tmp_path: Path) -> None:
    """Alone it gives the very same marks as after another one."""
    await evaluate(tmp_path, conversations=("bo",))

    assert marks(done.folder)["bo"] == marks(tmp_path)["bo"]


def test_every_question_is_told_with_its_hits(done: Done) -> None:
    """For error analysis: gold ranks by the file's names, the best texts and their signals."""
    found = marks(done.folder)["ada"]

    assert found["ranks"] == {"D1:1": 1}
    assert found["top"][0]["text"] == "Kim: My sister Ada keeps bees in Riga."
    assert {"dense_turn", "bm25_near"} <= found["top"][0]["signals"].keys()


def test_a_report_says_what_it_rests_on(done: Done) -> None:
    """Policy with its weights, embedder, the file's digest: what makes two reports comparable."""
    configuration = done.report["configuration"]

    assert "Weights(" in configuration["policy"]
    assert configuration.keys() >= {"embedder", "digest", "shape", "where"}


def test_the_page_is_what_is_said(done: Done) -> None:
    """Markdown in the file and on the terminal, with a row per measure."""
    assert (done.folder / "out.md").read_text() == done.said
    assert "| R@10 micro | 1.000 |" in done.said


async def test_resuming_asks_nothing_twice(tmp_path: Path) -> None:
    """What an earlier run of the same kind found stands in the new report; only the rest is told. A line that was cut
    off spoils neither."""
    await evaluate(tmp_path, conversations=("ada",))
    parts = tmp_path / "out.parts.jsonl"
    before = parts.read_bytes()
    parts.write_bytes(before + b'\n{"key": "cut o')
    report, _ = await evaluate(tmp_path, resume=True)
    lines = parts.read_bytes().removeprefix(before).split(b"\n")

    assert report["conversations"] == ["ada", "bo"]
    assert [json.loads(line)["part"]["conversation"] for line in lines[2:]] == ["bo"]


async def test_another_configuration_is_not_resumed(tmp_path: Path) -> None:
    """What was found in another file's bytes says nothing about this one's."""
    await evaluate(tmp_path, conversations=("ada",))
    parts = tmp_path / "out.parts.jsonl"
    old = json.loads(parts.read_bytes())
    parts.write_text(json.dumps(old | {"key": "another"}))
    await evaluate(tmp_path, conversations=("ada",), resume=True)

    assert [json.loads(line)["key"] for line in parts.read_bytes().split(b"\n")] == ["another", old["key"]]


async def test_only_the_beginnings_are_told(tmp_path: Path) -> None:
    """With a number of turns: questions about what was said later are counted but not asked. Those that cannot be
    helped are as many as for the whole conversation."""
    talks = file(tmp_path)
    later = [{"question": f"What fell, {n}?", "category": 4, "evidence": ["D1:3"]} for n in range(7)]
    talks.write_text(json.dumps([one | {"qa": [*one["qa"], *later]} for one in json.loads(talks.read_text())]))
    said: list[str] = []
    await run(Plan(file=talks, json=tmp_path / "out.json", turns=1), small, said.append)
    report = json.loads((tmp_path / "out.json").read_bytes())
    parts = [json.loads(line)["part"] for line in (tmp_path / "out.parts.jsonl").read_text().splitlines() if line]

    assert (report["turns"], report["questions"], report["unasked"]) == (2, 2, 14)
    assert "no more than the first 1 turns were told; 14 questions need later ones" in said[0]
    assert [sum(q["kind"] == "general" for q in part["quiet"]) for part in parts] == [8, 8]


async def test_a_beginning_is_not_resumed_as_another(tmp_path: Path) -> None:
    """How many turns were told is part of what a result depends on."""
    await evaluate(tmp_path, conversations=("ada",), turns=1)
    await evaluate(tmp_path, conversations=("ada",), turns=2, resume=True)
    lines = (tmp_path / "out.parts.jsonl").read_text().splitlines()

    assert [json.loads(line)["part"]["turns"] for line in lines if line] == [1, 2]


async def test_a_report_is_compared_in_pairs(done: Done, tmp_path: Path) -> None:
    """With another report's per-question file: over the questions that both have, here with the same answers."""
    report, said = await evaluate(tmp_path, conversations=("bo",), compare=done.folder / "out.json")

    assert report["compared"]["questions"] == 1
    assert report["compared"]["measures"]["R@10 mean"]["difference"] == 0
    assert "Compared on 1 questions" in said


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"conversations": ("cy",)}, "no conversation 'cy'"),
        ({"compare": Path("gone.json")}, "gone.questions.jsonl cannot be read"),
        ({"split": "dev", "conversations": ("ada",)}, "half"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_first(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    """Before any store is opened."""
    with pytest.raises(DatasetRefused, match=named):
        await evaluate(tmp_path, unopened, **changes)


async def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """As the system calls it, whatever tasks were at work around it."""
    with pytest.raises(FileNotFoundError, match=r"out\.parts\.jsonl"):
        plan = Plan(file=file(tmp_path), json=tmp_path / "gone" / "out.json", conversations=("ada",))
        await run(plan, small, lambda _: None)


async def test_a_live_gateway_gives_the_same_marks(done: Done, tmp_path: Path) -> None:
    """Through import and search of its admin API; and nothing of it stays there."""
    async with running_gateway(tmp_path / "data", NOWHERE) as gateway:
        await evaluate(tmp_path, unopened, base_url=f"{gateway.url}/v1")
        users = await gateway.services.memories.users("local")

    assert {n: m["ranks"] for n, m in marks(tmp_path).items()} == {n: m["ranks"] for n, m in marks(done.folder).items()}
    assert users == {}


async def test_a_gateway_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what failed, and before anything is told."""
    with pytest.raises(GatewayRefused, match=r"/admin/stats"):
        await evaluate(tmp_path, unopened, base_url=NOWHERE)


def test_the_command_refuses_with_one_line(tmp_path: Path) -> None:
    """Exit status 1 and what is wrong, not a traceback."""
    call = [sys.executable, "-m", "gateway", "eval", "recall", "gone.json", "--json", "out.json"]
    ended = subprocess.run(call, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)

    assert (ended.returncode, ended.stderr) == (1, b"mneme: gone.json cannot be read: No such file or directory\n")
