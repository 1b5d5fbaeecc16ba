"""`mneme eval recall` from end to end on a made-up file: embedded stores, a live gateway, reports, resuming."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.run import Plan, run
from gateway.services import Services
from gateway.settings import Settings
from gateway.wiring import open_services
from tests.support.gateway import ROOT, running_gateway

NOWHERE = "http://127.0.0.1:9/v1"
FACTS = {
    "ada": ["My sister Ada keeps bees in Riga.", "The train to Oslo was late again.", "We painted the kitchen green."],
    "bo": ["Bo plays the cello in a quartet.", "My dentist is called Dr. Winter.", "The old oak fell in the storm."],
}
QUESTIONS = {"ada": "Where does Ada keep her bees?", "bo": "Which instrument does Bo play?"}


def file(tmp_path: Path) -> Path:
    """Two conversations, each with one question about its first turn."""
    samples = [
        {
            "sample_id": name,
            "conversation": {
                "session_1": [{"speaker": "Kim", "dia_id": f"D1:{i}", "text": t} for i, t in enumerate(facts, 1)],
                "session_1_date_time": "1:56 pm on 8 May, 2024",
            },
            "qa": [{"question": QUESTIONS[name], "category": 4, "evidence": ["D1:1"]}],
        }
        for name, facts in FACTS.items()
    ]
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(samples))
    return path


@asynccontextmanager
async def small(data: Path) -> AsyncIterator[Services]:
    """Services as `mneme eval` opens them, with the embedder's built graph from where the other tests keep it."""
    models = ROOT / "build" / "test-models"
    models.mkdir(parents=True, exist_ok=True)
    (data / "models").symlink_to(models)
    async with open_services(Settings(data=data, upstream=NOWHERE)) as services:
        yield services


@asynccontextmanager
async def unopened(data: Path) -> AsyncIterator[Services]:
    """No services: whoever needs them fails."""
    raise AssertionError("nothing had to be told or asked anew")
    yield


async def evaluate(tmp_path: Path, opener: Opener = small, **changes: Any) -> tuple[dict[str, Any], str]:
    """The JSON report and what was said."""
    said: list[str] = []
    plan = Plan(file=file(tmp_path), json=tmp_path / "out.json", **changes)
    await run(plan, opener, said.append)
    return json.loads((tmp_path / "out.json").read_bytes()), "\n".join(said)


async def test_it_measures_the_embedded_stores(tmp_path: Path) -> None:
    """Both questions find the turn that answers them, first of all."""
    report, _ = await evaluate(tmp_path)

    assert report["overall"]["R@5 micro"]["value"] == 1.0
    assert (report["conversations"], report["turns"], report["questions"]) == (["ada", "bo"], 6, 2)


async def test_a_conversation_does_not_know_the_others(tmp_path: Path) -> None:
    """Alone it gives the very same marks as after another one."""
    both, alone = tmp_path / "both", tmp_path / "alone"
    both.mkdir()
    alone.mkdir()
    await evaluate(both)
    await evaluate(alone, conversations=("bo",))

    assert _marks(both)["bo"] == _marks(alone)["bo"]


def _marks(folder: Path) -> dict[str, Any]:
    """The per-question file by conversation, without times."""
    lines = (folder / "out.questions.jsonl").read_text().splitlines()
    return {one["conversation"]: {**one, "millis": 0} for one in map(json.loads, lines)}


async def test_every_question_is_told_with_its_hits(tmp_path: Path) -> None:
    """For error analysis: gold ranks by the file's names, the best texts and their signals."""
    await evaluate(tmp_path, conversations=("ada",))
    marks = _marks(tmp_path)["ada"]

    assert marks["ranks"] == {"D1:1": 1}
    assert marks["top"][0]["text"] == "Kim: My sister Ada keeps bees in Riga."
    assert {"dense_turn", "bm25_near"} <= marks["top"][0]["signals"].keys()


async def test_a_report_says_what_it_rests_on(tmp_path: Path) -> None:
    """Policy with its weights, embedder, the file's digest: what makes two reports comparable."""
    report, _ = await evaluate(tmp_path, conversations=("ada",))
    configuration = report["configuration"]

    assert "Weights(" in configuration["policy"]
    assert configuration.keys() >= {"embedder", "digest", "shape", "where"}


async def test_the_page_is_what_is_said(tmp_path: Path) -> None:
    """Markdown in the file and on the terminal, with a row per measure."""
    _, said = await evaluate(tmp_path, conversations=("ada",), markdown=tmp_path / "out.md")

    assert (tmp_path / "out.md").read_text() == said
    assert "| R@10 micro | 1.000 |" in said


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


async def test_a_report_is_compared_in_pairs(tmp_path: Path) -> None:
    """With another report's per-question file: here the same questions with the same answers."""
    await evaluate(tmp_path)
    (tmp_path / "out.json").rename(tmp_path / "before.json")
    (tmp_path / "out.questions.jsonl").rename(tmp_path / "before.questions.jsonl")
    report, said = await evaluate(tmp_path, compare=tmp_path / "before.json", resume=False)

    assert report["compared"]["questions"] == 2
    assert report["compared"]["measures"]["R@10 mean"]["difference"] == 0
    assert "Compared on 2 questions" in said


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"conversations": ("cy",)}, "no conversation 'cy'"),
        ({"compare": Path("gone.json")}, "gone.questions.jsonl cannot be read"),
        ({"split": "held-out", "conversations": ("ada",)}, "half"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_first(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    """Before any store is opened."""
    with pytest.raises(DatasetRefused, match=named):
        await evaluate(tmp_path, unopened, **changes)


async def test_a_live_gateway_gives_the_same_marks(tmp_path: Path) -> None:
    """Through import and search of its admin API; and nothing of it stays there."""
    embedded, live = tmp_path / "embedded", tmp_path / "live"
    embedded.mkdir()
    live.mkdir()
    await evaluate(embedded)
    async with running_gateway(tmp_path / "data", NOWHERE) as gateway:
        await evaluate(live, unopened, base_url=f"{gateway.url}/v1")
        users = await gateway.services.memories.users("local")

    assert {n: m["ranks"] for n, m in _marks(live).items()} == {n: m["ranks"] for n, m in _marks(embedded).items()}
    assert users == {}
