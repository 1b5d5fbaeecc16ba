"""`mneme eval qa` from end to end: a scripted model answers from its prompt, another judges; reports and resuming."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MnemeError
from gateway.evals.indoors import NotAnswered
from gateway.evals.locomo import DatasetRefused
from gateway.evals.qa import command
from gateway.evals.qa.run import Plan, run
from gateway.services import Services
from gateway.settings import Settings
from gateway.wiring import open_judge
from tests.support.evaluation import conversation, small, unopened, written
from tests.support.upstream import Received, Reply, Upstream, scripted_upstream

FACTS = {
    "ada": ["My sister Ada keeps bees in Riga.", "The train to Oslo was late again.", "We painted the kitchen green."],
    "bo": ["Bo plays the cello in a quartet.", "My dentist is called Dr. Winter.", "The old oak fell in the storm."],
}
QUESTIONS = {"ada": ("Where does Ada keep her bees?", "in Riga"), "bo": ("Which instrument does Bo play?", "the cello")}


@dataclass
class Models:
    """Who answers says the word of its prompt that it knows, or that it does not know; who judges compares letters.
    `fails` is a word in a question to which nobody answers."""

    fails: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    judged: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, received: Received) -> Reply:
        """To any request."""
        body = json.loads(received.body)
        said = body["messages"][-1]["content"]
        if body["model"] == "judge":
            self.judged.append(body)
            expected, _, given = said.partition("Given answer:")
            right = ("Riga" in expected and "Riga" in given) or ("Nothing that was" in said and "know" in given)
            return _chat(json.dumps({"correct": bool(right)}))
        self.asked.append(body)
        if self.fails and self.fails in said:
            return Reply(400, chunks=(b'{"error":{"message":"no"}}',))
        return _chat(next((word for word in ("Riga", "guitar") if word in said), "I do not know."))


def _chat(text: str) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return Reply(chunks=(json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode(),))


def file(folder: Path) -> Path:
    """Two conversations with a question each, and one question that nothing answers."""
    samples = [conversation(name, facts, {QUESTIONS[name][0]: 1}) for name, facts in FACTS.items()]
    for sample in samples:
        sample["qa"][0]["answer"] = QUESTIONS[sample["sample_id"]][1]
    samples[1]["qa"].append({"question": "When did Bo sell the boat?", "category": 5, "evidence": []})
    samples[1]["qa"].append({"question": "Who fell?", "category": 4, "evidence": ["D1:3"]})
    return written(folder / "talks.json", samples)


async def evaluate(folder: Path, models: Models, *, judged: bool = True, **changes: Any) -> tuple[dict[str, Any], str]:
    """The JSON report and what was said."""
    said: list[str] = []
    async with scripted_upstream() as worker:
        worker.answering = models.answer
        plan = Plan(file(folder), folder / "out.json", "answerer", judge="judge", **changes)
        judging = partial(open_judge, _settings(folder), worker.url, "judge") if judged else None
        await run(plan, partial(_opened, worker), judging, said.append)
    return json.loads((folder / "out.json").read_bytes()), "\n".join(said)


def _settings(folder: Path) -> Settings:
    chosen: dict[str, Any] = {"data": folder}
    return Settings(**chosen)


@asynccontextmanager
async def _opened(worker: Upstream, data: Path) -> AsyncIterator[Services]:
    async with small(data, upstream=worker.url, recall_deadline=5.0) as services:
        yield services


def answers(folder: Path) -> list[dict[str, Any]]:
    """What stands in the file of answers, by conversation and number."""
    lines = [json.loads(line)["answered"] for line in (folder / "out.answers.jsonl").read_text().splitlines() if line]
    return sorted(lines, key=lambda one: (one["conversation"], one["number"]))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str, Models]:
    """One evaluation, for the tests that only look at what it left behind."""
    folder, models = tmp_path_factory.mktemp("done"), Models()
    return folder, *asyncio.run(evaluate(folder, models, prices=(1.0, 10.0))), models


Done = tuple[Path, dict[str, Any], str, Models]


def test_questions_are_answered_from_memory(done: Done) -> None:
    """The model saw what was recalled, in a prompt that says which day it is; its own world knew nothing of it."""
    models = done[3]
    about_ada = next(body for body in models.asked if "Ada keep her bees" in body["messages"][-1]["content"])

    assert "My sister Ada keeps bees in Riga." in about_ada["messages"][-1]["content"]
    assert about_ada["messages"][0]["content"].startswith("Today is Wednesday, 8 May 2024.")
    assert about_ada["model"] == "answerer" and "memory" not in about_ada


def test_every_answer_is_kept_with_its_verdict(done: Done) -> None:
    """Right, wrong, and rightly not known; a question whose answer the file does not tell is not asked."""
    kept = answers(done[0])

    assert [(one["conversation"], one["given"], one["correct"], one["f1"]) for one in kept] == [
        ("ada", "Riga", True, pytest.approx(2 / 3)),
        ("bo", "I do not know.", False, 0.0),
        ("bo", "I do not know.", True, None),
    ]


def test_the_report_has_accuracy_by_kind(done: Done) -> None:
    """With intervals, tokens and cost."""
    _, report, said, _ = done

    assert {kind: figures["accuracy"]["value"] for kind, figures in report["kinds"].items()} == {
        "adversarial": 1.0,
        "single-hop": 0.5,
        "all": pytest.approx(2 / 3),
    }
    assert report["kinds"]["all"]["accuracy"].keys() == {"value", "low", "high"}
    assert (report["tokens"]["prompt"], report["tokens"]["answer"], report["tokens"]["judge"]) == (300, 30, 330)
    assert report["cost"] == pytest.approx(600 / 1_000_000)
    assert report["configuration"]["judge"] == "judge"
    assert "| single-hop | 2 | 2 | 0.500 |" in said and "They cost 0.0006." in said


async def test_resuming_asks_nothing_twice(tmp_path: Path) -> None:
    """What was answered before a model failed stays; a conversation that is done is not told again."""
    with pytest.raises(NotAnswered, match="status 400"):
        await evaluate(tmp_path, Models(fails="Bo play"), at_once=1)
    assert [one["conversation"] for one in answers(tmp_path)][:1] == ["ada"]
    models = Models()
    report, _ = await evaluate(tmp_path, models, resume=True)

    assert report["kinds"]["all"]["questions"] == 3
    assert not any("Ada keep her bees" in body["messages"][-1]["content"] for body in models.asked)


async def test_without_a_judge_there_are_words_in_common(tmp_path: Path) -> None:
    """And no accuracy."""
    models = Models()
    report, said = await evaluate(tmp_path, models, judged=False, conversations=("ada",), policy="exprag")

    assert models.judged == []
    assert report["kinds"]["all"]["judged"] == 0 and report["kinds"]["all"]["token F1"]["value"] > 0.6
    assert report["configuration"]["policy"] == "exprag" and report["cost"] is None
    assert "| all | 1 | 0 | – | – | 0.667 |" in said


async def test_a_file_without_answers_is_refused(tmp_path: Path) -> None:
    """Before anything is opened."""
    talks = written(tmp_path / "talks.json", [conversation("ada", FACTS["ada"], {"Where?": 1})])
    with pytest.raises(DatasetRefused, match="no question with an answer"):
        await run(Plan(talks, tmp_path / "out.json", "m"), unopened, None, print)


def test_the_command_line_means_a_plan() -> None:
    """Prices are a pair."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.arguments(parser)
    words = ["talks.json", "--json", "out.json", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"]
    given = parser.parse_args([*words, "--judge-model", "j", "--prices", "0.15,0.6", "--questions", "5", "--resume"])

    assert command.plan(given) == Plan(
        Path("talks.json"), Path("out.json"), "m", "j", questions=5, prices=(0.15, 0.6), resume=True
    )
    with pytest.raises(argparse.ArgumentError, match="no pair of prices"):
        parser.parse_args([*words, "--prices", "1"])


async def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """As every evaluation refuses it."""
    with pytest.raises(MnemeError, match="cannot be read"):
        await run(Plan(tmp_path / "none.json", tmp_path / "out.json", "m"), unopened, None, print)
