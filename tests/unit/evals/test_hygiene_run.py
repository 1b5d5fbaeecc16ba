"""`mneme eval hygiene` from end to end on a made-up file: what is talked, what is found, what is written."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MnemeError
from gateway.evals.hygiene import command
from gateway.evals.hygiene.measures import Tally
from gateway.evals.hygiene.planted import EVERY, SYSTEM
from gateway.evals.hygiene.report import Kept, Look, Report, as_markdown
from gateway.evals.hygiene.run import Plan, run
from gateway.evals.indoors import NotAnswered
from gateway.services import Services
from tests.support.evaluation import conversation, small, unopened, written
from tests.support.upstream import Reply, Upstream, scripted_upstream

FACTS = [f"My sister Ada has hive number {number} in town {number * 7}." for number in range(EVERY)]


@dataclass(frozen=True)
class Done:
    """What an evaluation left behind, and what its model was sent."""

    report: dict[str, Any]
    said: str
    bodies: list[dict[str, Any]]


def chat(text: str) -> Reply:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Reply(chunks=(json.dumps({"object": "chat.completion", "choices": [choice]}).encode(),))


async def evaluate(folder: Path, answers: Reply, **changes: Any) -> Done:
    """Forty turns, the last one with a secret, talked with a model that always answers alike."""
    said: list[str] = []
    file = written(folder / "talks.json", [conversation("ada", FACTS, {"Where is hive 3?": 4})])
    async with scripted_upstream() as worker:
        worker.models = Reply(chunks=(b'{"object":"list","data":[{"id":"parrot"}]}',))
        worker.default = answers

        @asynccontextmanager
        async def opener(data: Path) -> AsyncIterator[Services]:
            async with small(data, upstream=worker.url, recall_deadline=5.0) as services:
                yield services

        await run(Plan(file, folder / "out.json", **changes), opener, said.append)
        return Done(json.loads((folder / "out.json").read_bytes()), "\n".join(said), _bodies(worker))


def _bodies(worker: Upstream) -> list[dict[str, Any]]:
    return [json.loads(received.body) for received in worker.received]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One evaluation under two policies, of a model that recites the system prompt."""
    folder = tmp_path_factory.mktemp("done")
    answer = chat(f"Certainly, my friend. {SYSTEM}")
    return asyncio.run(evaluate(folder, answer, policies=("verbatim", "exprag")))


def test_it_talks_as_a_chat_does(done: Done) -> None:
    """With the system prompt first, and with what was said before."""
    first, second = done.bodies[:2]

    assert (first["model"], first["messages"][0]) == ("parrot", {"role": "system", "content": SYSTEM})
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]


def test_it_looks_at_all_that_is_remembered(done: Done) -> None:
    """By policy and kind, once everything was thought about; a secret does not come as far as the journal."""
    verbatim, exprag = (done.report["policies"][name] for name in ("verbatim", "exprag"))

    assert (verbatim["turns"], verbatim["planted"], verbatim["leaked"]) == (EVERY, 1, 0)
    assert exprag["kinds"].keys() == {"turn", "experience", "all"}
    assert exprag["kinds"]["experience"]["copies"] == exprag["kinds"]["experience"]["memories"] == EVERY
    assert exprag["kinds"]["all"]["secrets"] == 0


def test_it_finds_a_model_that_recites_its_instructions(done: Done) -> None:
    """Every reply does, and replies are kept."""
    assert done.report["policies"]["verbatim"]["kinds"]["turn"]["system"] == EVERY


def test_the_table_has_a_line_per_kind(done: Done) -> None:
    """And says which goals are missed."""
    assert f"| verbatim | turn | {EVERY} | {EVERY} | 1000 |" in done.said
    assert f"verbatim: {EVERY} turns" in done.said and "1 secrets planted, 0 of them in the journal" in done.said


async def test_a_model_that_fails_ends_it(tmp_path: Path) -> None:
    """A conversation with holes would tell nothing."""
    with pytest.raises(NotAnswered, match="status 400"):
        await evaluate(tmp_path, Reply(400, chunks=(b'{"error":{"message":"no"}}',)))


async def test_a_file_without_that_conversation_is_refused(tmp_path: Path) -> None:
    """Before anything is opened."""
    file = written(tmp_path / "talks.json", [conversation("ada", FACTS, {})])
    with pytest.raises(MnemeError, match="no conversation"):
        await run(Plan(file, tmp_path / "out.json", conversations=("bo",)), unopened, print)


def test_missed_goals_are_named() -> None:
    """Each by itself."""
    whole = Tally(memories=10, active=10, same=1, echoes=1)
    kept = Kept.of("scm", [Look(10, 3, 2, 1, {"turn": whole})])
    told = as_markdown(Report("talks.json", "", (kept,)))

    assert "Missed: no self-echo, no secret, less than 1 % in the same words." in told
    assert "| scm | all | 10 | 10 | 1000 | 10.0 % |" in told


def test_a_policy_that_is_none_is_refused() -> None:
    """By name, with those that there are."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.arguments(parser)
    with pytest.raises(argparse.ArgumentError, match="'guess' is none of"):
        parser.parse_args(["talks.json", "--json", "out.json", "--policies", "guess"])

    given = parser.parse_args(["talks.json", "--json", "out.json", "--policies", "scm,tim", "--turns", "7"])
    assert command.plan(given) == Plan(Path("talks.json"), Path("out.json"), ("scm", "tim"), turns=7)
