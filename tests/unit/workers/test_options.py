"""The launcher's own options, taken out of vLLM's."""

import json
from pathlib import Path

import pytest

from workers.kv.errors import PolicyRefused
from workers.kv.knobs import Knobs
from workers.options import heads, read


def test_only_its_own_options_are_taken() -> None:
    """What is left is vLLM's, in the order in which it stood."""
    line = "--port 8 --model M --enforce-eager --kv sink_window -tp 2 --window 64 --kv-cache-dtype auto"

    asked = read(line.split())

    assert asked.model == "M"
    assert asked.choice.knobs.window == 64
    assert asked.others == ("--port", "8", "--enforce-eager", "-tp", "2", "--kv-cache-dtype", "auto")


def test_a_knob_that_is_not_given_is_the_policys_own() -> None:
    """Its default is filled in."""
    assert read(["--model=M", "--kv=sink_window", "--sink=32"]).choice.knobs.given() == {"sink": 32, "window": 4096}


@pytest.mark.parametrize(("given", "expected"), [("", None), ("--trained 4096", 4096)])
def test_the_trained_context_may_be_said(given: str, expected: int | None) -> None:
    """None leaves it to the model's configuration."""
    assert read(f"--model M --kv full {given}".split()).trained == expected


@pytest.mark.parametrize("length", ["0", "-1", "many"])
def test_a_trained_context_is_a_length(length: str) -> None:
    """Anything else ends with the status of a wrong command line."""
    with pytest.raises(SystemExit):
        read(["--model", "M", "--kv", "full", f"--trained={length}"])


def test_every_knob_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, with dashes, and with what it means."""
    with pytest.raises(SystemExit):
        read(["--help"])

    told = " ".join(capsys.readouterr().out.split())
    for name, field in Knobs.model_fields.items():
        assert f"--{name.replace('_', '-')} " in told
        assert str(field.description) in told


def test_ids_are_listed_with_commas() -> None:
    """As numbers, whatever stood between them."""
    asked = read(["--model", "M", "--kv", "modality_window", "--vision-tokens", "11, 12,13"])

    assert asked.choice.knobs.vision_tokens == (11, 12, 13)


def test_heads_come_from_a_file(tmp_path: Path) -> None:
    """Its content becomes the knob; what else stands in it is not looked at."""
    file = tmp_path / "heads.json"
    file.write_text(json.dumps({"layers": {"0": [0, 1], "3": [1]}, "scores": [0.5]}))

    asked = read(["--model", "M", "--kv", "duo", "--heads", str(file)])

    assert asked.choice.knobs.heads == {0: (0, 1), 3: (1,)}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layers": [1]}', '{"layers": {"a": [1]}}', '{"layers": {"0": 1}}'])
def test_a_file_without_heads_is_refused(text: str, tmp_path: Path) -> None:
    """With the form that it should have."""
    file = tmp_path / "heads.json"
    file.write_text(text)

    with pytest.raises(PolicyRefused, match="layers"):
        heads(file)
