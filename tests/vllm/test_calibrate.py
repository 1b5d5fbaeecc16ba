"""`python -m workers calibrate` on a real, small model in Hugging Face."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from tests.vllm.tiny import HEADS, KV_HEADS, LAYERS
from workers.__main__ import main
from workers.calibrate.probe import Probe
from workers.calibrate.prompts import Shape, prompt, words

PLANTED = {1: [1], 2: [0]}
_STILL = 6  # pairs of a head that turn too fast with position to compare words far apart, at _BASE
_BASE = 1e12
_SHARP = 6.0


@pytest.fixture(scope="module")
def planted(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, in which two KV heads look for the word they stand on, and the others for none."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    model = LlamaForCausalLM.from_pretrained(tiny)
    model.config.rope_parameters = {"rope_type": "default", "rope_theta": _BASE}
    size = model.config.head_dim
    same = torch.randn(size, model.config.hidden_size, generator=torch.Generator().manual_seed(1))
    same[:_STILL] = same[size // 2 : size // 2 + _STILL] = 0
    same *= _SHARP / model.config.hidden_size**0.5
    with torch.no_grad():
        for number, layer in enumerate(model.model.layers):
            part = layer.self_attn
            for weights in (part.q_proj.weight, part.k_proj.weight, part.o_proj.weight, layer.mlp.down_proj.weight):
                weights.mul_(0.05)
            for head in PLANTED.get(number, ()):
                part.k_proj.weight[head * size : (head + 1) * size] = same
                first = head * (HEADS // KV_HEADS)
                part.q_proj.weight[first * size : (first + 1) * size] = same
    model.save_pretrained(folder)
    return folder


def calibrated(model: Path, out: Path, *options: str) -> dict[str, Any]:
    """What the command wrote."""
    assert main(["calibrate", str(model), "--out", str(out), *options]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_heads_that_read_the_needle_are_found(planted: Path, tmp_path: Path) -> None:
    """Exactly the planted ones, by a clear margin over all others."""
    found = calibrated(planted, tmp_path / "heads.json", "--share", "0.25")

    assert {int(layer): heads for layer, heads in found["layers"].items()} == PLANTED
    ranked = sorted((score for row in found["scores"].values() for score in row), reverse=True)
    assert ranked[1] > 5 * ranked[2]


def test_whole_layers_are_found(planted: Path, tmp_path: Path) -> None:
    """The layers that hold the planted heads, with every head: what serves without cutting layers."""
    found = calibrated(planted, tmp_path / "heads.json", "--per", "layer")

    assert found["layers"] == {str(layer): [0, 1] for layer in PLANTED}


def test_the_file_says_how_it_was_found_and_is_the_same_again(tiny: Path, tmp_path: Path) -> None:
    """Scores of every head, the check's three numbers, the options: twice the same bytes."""
    first = calibrated(tiny, tmp_path / "first.json")
    again = calibrated(tiny, tmp_path / "again.json")

    assert first == again
    assert [len(first["scores"][str(layer)]) for layer in range(LAYERS)] == [KV_HEADS] * LAYERS
    assert sum(map(len, first["layers"].values())) == LAYERS * KV_HEADS // 2
    assert set(first["check"]) == {"full", "duo", "streaming"}
    assert (first["probe"]["window"], first["probe"]["seed"]) == (256, 0)


def test_what_all_heads_may_read_is_full_attention(tiny: Path) -> None:
    """The narrowed model with every head chosen says what the model itself says, and with none something else."""
    probe, chance = Probe(str(tiny), "cpu"), random.Random(3)
    made = [prompt(Shape(256, 32, 64), [words(chance, range(10, 300), 16)], range(10, 300), 0, chance)]
    everyone = {layer: list(range(KV_HEADS)) for layer in range(LAYERS)}

    assert probe.said(made, everyone, 32, 64) == pytest.approx(probe.said(made), abs=1e-5)
    assert probe.said(made, {}, 32, 64) != pytest.approx(probe.said(made), abs=1e-3)


def test_a_pass_key_in_the_users_words_can_be_hidden(planted: Path, tmp_path: Path) -> None:
    """In an excerpt of a text; heads that look for the same word find the question's words in the needle."""
    text = tmp_path / "filler.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 50)
    asked = ["--needle", "Memory holds {key}. ", "--question", "What holds memory? Memory holds {key}"]
    found = calibrated(planted, tmp_path / "heads.json", *asked, "--text", str(text), "--length", "600")

    assert found["probe"]["needle"] == asked[1]
    assert len(found["layers"]) > 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--length", "300"], "--length 576 has"),
        (["--share", "1.5"], "0.5 would"),
        (["--length", "9000"], "8192 would"),
    ],
)
def test_what_cannot_be_probed_is_refused(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    """With the reason and a setting that works, and without a file."""
    out = tmp_path / "heads.json"

    assert main(["calibrate", str(tiny), "--out", str(out), *options]) == 1
    assert reason in capsys.readouterr().err
    assert not out.exists()
