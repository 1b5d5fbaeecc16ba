"""`python -m workers`: which command runs, what it prints, and how it ends. No vLLM is here, and none is needed."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from workers.__main__ import COMMANDS, main
from workers.kv.choice import kind
from workers.kv.policies import TABLE

LLAMA: dict[str, Any] = {"model_type": "llama", "max_position_embeddings": 8192}


def folder(at: Path, **config: Any) -> str:
    """A model of which there is only its configuration."""
    (at / "config.json").write_text(json.dumps({**LLAMA, **config}))
    return str(at)


def test_every_command_exists() -> None:
    """Each line of the table can be called."""
    for target, _ in COMMANDS.values():
        module, _, attribute = target.partition(":")

        assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["frob"], 2), (["--help"], 0), (["-h"], 0)])
def test_without_a_command_it_names_them(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for help on stdout; otherwise on stderr, with the status of a wrong command line."""
    assert main(arguments) == status

    told = capsys.readouterr()
    assert set(COMMANDS) <= set((told.err if status else told.out).split())


def test_policies_are_listed_with_their_knobs(capsys: pytest.CaptureFixture[str]) -> None:
    """Every policy of the table, every knob it takes with its default, and what each means."""
    assert main(["policies"]) == 0

    told = capsys.readouterr().out
    for name, listed in zip(TABLE, told.split("\n\n"), strict=False):
        assert listed.startswith(f"{name}: ")
        for knob, default in kind(name).KNOBS.items():
            shown = "required" if default is ... else "optional" if default is None else str(default)
            line = next(line for line in listed.splitlines() if f"--{knob.replace('_', '-')} " in line)
            assert line.split()[1] == shown
            assert len(line.split()) > 3


@pytest.mark.parametrize("arguments", ["policies", "--help", "serve --help"])
def test_listing_and_help_load_no_engine(arguments: str) -> None:
    """Neither vLLM nor torch: both take seconds, and need not be installed."""
    script = (
        "import sys\nfrom workers.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "assert not {'torch', 'vllm'} & set(sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", script, *arguments.split()], capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("options", "config", "reason"),
    [
        ("--kv frob", {}, "There is no KV policy 'frob'; there are full, sink_window"),
        ("--kv sink_window --budget 64", {}, "no knob 'budget'; it takes sink, window"),
        ("--kv sink_window --window 0", {}, "window: Input should be greater than or equal to 1"),
        ("--kv duo", {}, "The policy duo needs heads"),
        ("--kv duo --heads none.json", {}, "none.json cannot be read"),
        ("--kv full", {"sliding_window": 4096}, "sliding windows of 4096 tokens"),
        ("--kv full", {"layer_types": ["full_attention", "linear_attention"]}, "linear_attention"),
        ("--kv full", {"kv_lora_rank": 512}, "latent attention (MLA)"),
        ("--kv full", {"is_encoder_decoder": True}, "an encoder beside its decoder"),
    ],
)
def test_what_cannot_be_served_is_refused_without_vllm(
    options: str, config: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 and one line with the reason."""
    assert main(["serve", "--model", folder(tmp_path, **config), *options.split()]) == 1

    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert reason in told.err


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is here")
def test_a_missing_vllm_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that installs it."""
    assert main(["serve", "--model", folder(tmp_path), "--kv", "sink_window"]) == 1

    assert "pip install 'mneme[vllm]'" in capsys.readouterr().err


def test_a_command_line_without_a_policy_means_nothing(tmp_path: Path) -> None:
    """A worker is never started without its policy being said."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--model", folder(tmp_path)])

    assert ended.value.code == 2
