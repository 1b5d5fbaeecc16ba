"""`mneme eval fit` from end to end on a made-up file: what it refuses before it reads, what it tells and writes."""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SettingsRefused
from gateway.evals.fit import command
from gateway.evals.fit.run import Plan, run
from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.sample import half
from gateway.memory.policies.ranker.weights import Cut, Gate, Order
from gateway.services import Services
from tests.support.evaluation import conversation, small, unopened, written

# Their names put both into the half that may be tuned on.
FACTS = {
    "fay": ["My sister Ada keeps bees in Riga.", "The train to Oslo was late again.", "We painted the kitchen green."],
    "gus": ["Bo plays the cello in a quartet.", "My dentist is called Dr. Winter.", "The old oak fell in the storm."],
}
ASKED = {
    "fay": {"Where does Ada keep her bees?": 1, "What colour is the kitchen?": 3},
    "gus": {"Which instrument does Bo play?": 1, "What fell in the storm?": 3},
}


@dataclass(frozen=True)
class Done:
    """What a fit left behind."""

    told: dict[str, Any]
    said: str


def file(folder: Path) -> Path:
    """Both conversations."""
    return written(folder / "talks.json", [conversation(name, FACTS[name], ASKED[name]) for name in FACTS])


async def fit(folder: Path, opener: Opener = small, **changes: Any) -> Done:
    """The file that is written and what is said."""
    said: list[str] = []
    await run(Plan(**{"file": file(folder), "json": folder / "out.json", **changes}), opener, said.append)
    return Done(json.loads((folder / "out.json").read_bytes()), "\n".join(said))


@asynccontextmanager
async def forgetful(data: Path) -> AsyncIterator[Services]:
    """As `small`, with the policy that keeps nothing."""
    async with small(data, policy="none") as services:
        yield services


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One fit with everything, for the tests that only look at what it left behind. To forget rewrites files, which is
    slow on a disk, so the stores are where other temporary files are."""
    folder = tmp_path_factory.mktemp("fit")
    return asyncio.run(fit(folder, lambda _: small(folder), ablate=True, trade=True))


@pytest.mark.slow
def test_every_weight_has_a_name_and_a_number(done: Done) -> None:
    """All of order, gate and cut, ready to be copied."""
    weights = done.told["weights"]

    assert {step: tuple(some) for step, some in weights.items()} == {
        "order": Order._fields,
        "gate": Gate._fields,
        "cut": Cut._fields,
    }
    assert all(isinstance(value, float) for some in weights.values() for value in some.values())


@pytest.mark.slow
def test_figures_are_of_conversations_that_were_not_seen(done: Done) -> None:
    """Every question is asked once, and every kind of those that nothing helps is told of, with intervals."""
    found = done.told["cross_validated"]

    assert (done.told["file"], done.told["questions"]) == ("talks.json", 4)
    assert {"R@10 macro", "strangers: tokens, mean", "general: share injecting"} <= found.keys()
    assert found["R@10 mean"]["value"] == 1.0  # of three turns each is among ten
    assert found["R@10 mean"]["low"] <= found["R@10 mean"]["value"] <= found["R@10 mean"]["high"]


@pytest.mark.slow
def test_it_tells_what_each_column_buys(done: Done) -> None:
    """One at a time, and those of times all at once."""
    assert done.told["without"].keys() == {*Order._fields, "times named"}
    assert done.told["without"]["words"].keys() >= {"R@10 macro", "session Hit@1"}
    assert "| times named |" in done.said


@pytest.mark.slow
def test_it_tells_what_other_thresholds_trade(done: Done) -> None:
    """Each combination once, with what it finds and what it injects where nothing helps."""
    trades = done.told["trades"]

    assert len({(t["gate"], t["cut"], t["doubt"]) for t in trades}) == len(trades) > 1
    assert all({"evidence in 1200 tokens, mean", "general: tokens, mean"} <= t.keys() for t in trades)
    assert "Under other thresholds" in done.said


@pytest.mark.slow
def test_a_higher_gate_injects_no_more(done: Done) -> None:
    """With cut and doubt as they are."""
    trades = {(t["cut"], t["doubt"], t["gate"]): t["tokens of 1200, mean"] for t in done.told["trades"]}
    gates = sorted({gate for _, _, gate in trades})

    for cut, doubt, _ in trades:
        injected = [trades[cut, doubt, gate] for gate in gates]
        assert injected == sorted(injected, reverse=True)


@pytest.mark.slow
def test_the_page_has_what_the_file_has(done: Done) -> None:
    """The measures as a table, and the weights."""
    assert "# Weights fitted to talks.json" in done.said
    assert "| R@10 mean | 1.000 |" in done.said
    assert f"dense_near={done.told['weights']['order']['dense_near']:g}" in done.said


@pytest.mark.parametrize("split", ["held-out", "all"])
async def test_held_out_conversations_are_kept_from_tuning(tmp_path: Path, split: str) -> None:
    """Without the flag nothing is read or told: there is no such file."""
    with pytest.raises(SettingsRefused, match="--tune-on-held-out"):
        await run(Plan(tmp_path / "gone.json", tmp_path / "out.json", split=split), unopened, lambda _: None)

    assert os.listdir(tmp_path) == []


async def test_held_out_conversations_can_be_asked_for(tmp_path: Path) -> None:
    """Then the file is read; here it has none."""
    with pytest.raises(DatasetRefused, match="here are 0"):
        await fit(tmp_path, unopened, split="held-out", tune_on_held_out=True)


async def test_tuning_takes_the_development_half_only(tmp_path: Path) -> None:
    """Conversations of the other half in the same file are not even counted."""
    names = [name for name in ("ada", "bo") if half(name) == "held-out"]
    samples = [conversation(name, FACTS["fay"], ASKED["fay"]) for name in [*names, "fay"]]

    assert len(names) == 2
    with pytest.raises(DatasetRefused, match="here are 1"):
        await run(Plan(written(tmp_path / "talks.json", samples), tmp_path / "out.json"), unopened, lambda _: None)


@pytest.mark.parametrize("changes", [{"conversations": ("gus",)}, {"conversations": ("nobody",)}])
async def test_too_few_conversations_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """One must be left to check the other; and before any store is opened."""
    with pytest.raises(DatasetRefused, match="at least 2 conversations"):
        await fit(tmp_path, unopened, **changes)


async def test_only_what_is_asked_about_can_teach(tmp_path: Path) -> None:
    """A conversation without a question that it answers is none of the two."""
    samples = [conversation("fay", FACTS["fay"], ASKED["fay"]), conversation("gus", FACTS["gus"], {})]

    with pytest.raises(DatasetRefused, match="at least 2 conversations"):
        await run(Plan(written(tmp_path / "talks.json", samples), tmp_path / "out.json"), unopened, lambda _: None)


async def test_a_policy_without_weights_is_refused(tmp_path: Path) -> None:
    """With the setting that names the right one."""
    with pytest.raises(SettingsRefused, match="MNEME_POLICY=verbatim"):
        await fit(tmp_path, forgetful)


def test_the_command_line_makes_a_plan() -> None:
    """By default nothing is held out of the promise, left out or traded."""
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    plain = command.plan(parser.parse_args(["talks.json", "--json", "out.json"]))
    named = ["--questions", "q.jsonl", "--conversations", "a,,b", "--split", "all"]
    flags = ["--tune-on-held-out", "--trade", "--ablate"]
    full = command.plan(parser.parse_args(["talks.json", "--json", "out.json", *named, *flags]))

    assert plain == Plan(Path("talks.json"), Path("out.json"))
    assert full == Plan(Path("talks.json"), Path("out.json"), Path("q.jsonl"), ("a", "b"), "all", True, True, True)
